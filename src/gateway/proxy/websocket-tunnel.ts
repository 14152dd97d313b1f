import type { Duplex } from "node:stream";

/** The connection of a client that asks for another protocol, as the server hands it over. */
export interface Tunnel {
  readonly socket: Duplex;
  /** What came after the request already. */
  readonly head: Buffer;
}
