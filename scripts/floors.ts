/**
 * The floors of the house, from the ground up. A folder under `src/` is a room. A room may import only rooms on lower
 * lines, and only through their door `index.ts`; rooms on one line do not know each other. Type imports count.
 *
 * A new room is one folder and one name here. `test/tidy.test.ts` holds the code to it.
 */
export const floors: readonly (readonly string[])[] = [
  ["base"],
  ["schema", "telemetry", "wire"],
  ["resilience", "lifecycle", "config", "balancing", "http"],
  ["rpc", "database", "cache", "limits", "upstream"],
  ["events", "shards", "identity"],
  ["service", "provider"],
  ["gateway"],
  ["app"],
  ["generators", "verify"],
  ["studio"],
  ["cli"],
];

/**
 * Beside the floors: `engines/`, one room for each outside product. An engine sees the ports, so the floors up to this
 * one. No room sees an engine; those above this floor reach all of them through the generated list alone, by the
 * contract that every engine keeps.
 */
export const enginesFloorMax = 4;
export const enginesFolder = "engines";
export const enginesList = "src/engines/index.gen.ts";
export const enginesContract = "src/engines/engine.ts";

/**
 * The one room that imports a third-party package, so that replacing it is one room's work. Every dependency of
 * `package.json` has its line here. A package that `package.json` does not list under `dependencies` is an optional
 * peer: its owner imports it lazily.
 */
export const owners: Readonly<Record<string, string>> = {
  typebox: "schema",
  ajv: "schema",
  "ajv-formats": "schema",
  "@standard-schema/spec": "schema",
  pino: "telemetry",
  undici: "http",
  kysely: "database",
  "libpg-query": "database",
  croner: "events",
  "lru-cache": "cache",
  "find-my-way": "gateway",
  jose: "identity",
  "oidc-provider": "provider",
  "structured-headers": "gateway",
  "http-cache-semantics": "gateway",
  "acme-client": "gateway",
  tsx: "cli",
  pg: "engines/postgres",
  "@electric-sql/pglite": "engines/pglite",
  "@redis/client": "engines/redis",
};

/** The line a room stands on. Engines stand just above the ports they serve, and their contract between; undefined for a folder that is no room. */
export function floorOf(room: string): number | undefined {
  if (room === enginesFolder) return enginesFloorMax + 0.25;
  if (room.startsWith(`${enginesFolder}/`)) return enginesFloorMax + 0.5;
  const line = floors.findIndex((rooms) => rooms.includes(room));
  return line === -1 ? undefined : line;
}
