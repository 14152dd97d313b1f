import type { Caches, CachesOptions } from "./caches.ts";
import { createCaches } from "./caches.ts";
import type { Databases, DatabasesOptions } from "./databases.ts";
import { createDatabases } from "./databases.ts";

/**
 * The engines of one process: chosen by the scheme of a URL, loaded only when used, opened once and shared by all
 * services, each of which sees its own schema or namespace.
 */
export type Stores = Databases & Caches;
export type StoresOptions = DatabasesOptions & CachesOptions;

export async function createStores(options: StoresOptions): Promise<Stores> {
  return { ...(await createDatabases(options)), ...(await createCaches(options)) };
}
