import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { PlinthError } from "../base/index.ts";

/** A request on a connection, for the time until it is answered. */
export interface Guest {
  previousGuest: Guest | undefined;
  nextGuest: Guest | undefined;
  /** The connection is gone. */
  onGone(): void;
  /** What followed on the connection is no HTTP. True when the guest was still being read and answers with it. */
  onBroken(refusal: PlinthError): boolean;
  /** The process is about to end. What would go on for ever ends within `delayMs`. */
  onDraining(delayMs: number): void;
  /** The process ends now. */
  onShutdown(reason: PlinthError): void;
}

/**
 * What we know of one connection: the requests on it that are not answered yet (pipelining makes that several), so that
 * its end reaches each. One listener for each connection instead of one for each request.
 */
export class Connection {
  requestCount = 0;
  /** The answer to the newest request. */
  lastResponse: ServerResponse | undefined = undefined;
  #newest: Guest | undefined = undefined;

  join(guest: Guest, response: ServerResponse): void {
    this.requestCount++;
    this.lastResponse = response;
    guest.nextGuest = this.#newest;
    if (this.#newest) this.#newest.previousGuest = guest;
    this.#newest = guest;
  }

  leave(guest: Guest): void {
    if (guest.previousGuest) guest.previousGuest.nextGuest = guest.nextGuest;
    else if (this.#newest === guest) this.#newest = guest.nextGuest;
    if (guest.nextGuest) guest.nextGuest.previousGuest = guest.previousGuest;
    guest.previousGuest = undefined;
    guest.nextGuest = undefined;
  }

  get newest(): Guest | undefined {
    return this.#newest;
  }

  gone(): void {
    let guest = this.#newest;
    while (guest) {
      const next: Guest | undefined = guest.nextGuest;
      guest.onGone();
      guest = next;
    }
  }
}

const connectionKey = Symbol("plinth.connection");

interface TrackedSocket extends Socket {
  [connectionKey]?: Connection;
}

/** The connection of a socket, tracked from its first request on. */
export function connectionOf(socket: Socket): Connection {
  const known = (socket as TrackedSocket)[connectionKey];
  if (known) return known;
  const connection = new Connection();
  (socket as TrackedSocket)[connectionKey] = connection;
  socket.once("close", onClose);
  return connection;
}

/** The same, or undefined when no request has come on it. */
export function knownConnectionOf(socket: Socket): Connection | undefined {
  return (socket as TrackedSocket)[connectionKey];
}

function onClose(this: Socket): void {
  (this as TrackedSocket)[connectionKey]?.gone();
}
