import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Where a server is, when it is there. */
export async function listening(server: Server): Promise<{ url: string }> {
  if (!server.listening) await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
