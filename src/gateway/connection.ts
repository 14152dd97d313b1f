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

  leave(guest: Guest, response: ServerResponse): void {
    // An answer that has the connection is on its way, before anything written later. Kept, it would hold all of its
    // request in memory until the next one: the collector copies that again and again. The last one of a connection stays.
    const isOut = response.socket !== null || response.writableFinished;
    if (this.lastResponse === response && isOut && response.shouldKeepAlive) this.lastResponse = undefined;
    if (guest.previousGuest) guest.previousGuest.nextGuest = guest.nextGuest;
    else if (this.#newest === guest) this.#newest = guest.nextGuest;
    if (guest.nextGuest) guest.nextGuest.previousGuest = guest.previousGuest;
    guest.previousGuest = undefined;
    guest.nextGuest = undefined;
  }

  /**
   * An answer has said that it is the last one. What follows on an HTTP/1 connection is then not run: it would get no
   * answer, and the client may send it again on another (RFC 9112, 9.6).
   */
  get isEnding(): boolean {
    return this.lastResponse?.shouldKeepAlive === false;
  }

  get newest(): Guest | undefined {
    return this.#newest;
  }

  /** The newest first. `task` may end the guest that it gets. */
  forEach(task: (guest: Guest) => void): void {
    let guest = this.#newest;
    while (guest) {
      const next: Guest | undefined = guest.nextGuest;
      task(guest);
      guest = next;
    }
  }
}

/** The connections of one gateway, each from its first request to its end. Two gateways may share a socket. */
export class Connections {
  readonly #key = Symbol("plinth.connection");
  readonly #all = new Set<Connection>();

  of(socket: Socket): Connection {
    const known = this.known(socket);
    if (known) return known;
    const connection = new Connection();
    (socket as Tracked)[this.#key] = connection;
    this.#all.add(connection);
    socket.once("close", () => {
      this.#all.delete(connection);
      connection.forEach((guest) => {
        guest.onGone();
      });
    });
    return connection;
  }

  /** Undefined when no request has come on it. */
  known(socket: Socket): Connection | undefined {
    return (socket as Tracked)[this.#key];
  }

  forEachGuest(task: (guest: Guest) => void): void {
    for (const connection of this.#all) connection.forEach(task);
  }
}

type Tracked = Socket & { [key: symbol]: Connection | undefined };
