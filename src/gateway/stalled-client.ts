import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../base/index.ts";
import type { ResolvedLimits } from "./limits.ts";

/**
 * Clients that take nothing of their answer for `limits.stalledClient` lose the connection. Only what they take counts: a
 * socket's own timer begins anew with each byte that it hears, and would be held off by a byte now and then.
 *
 * Looked at every `limits.timeoutCheck`, while somebody is watched. HTTP/2 has streams to watch instead (http2/http2.ts).
 */
export class StalledClients {
  readonly #clock: Clock;
  readonly #limits: Pick<ResolvedLimits, "stalledClientMs" | "timeoutCheckMs">;
  readonly #watched = new Map<ServerResponse, Watched>();
  #stopLooking: (() => void) | undefined;

  constructor(clock: Clock, limits: Pick<ResolvedLimits, "stalledClientMs" | "timeoutCheckMs">) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Until the answer is out, or its connection is gone. */
  watch(socket: Socket, res: ServerResponse): void {
    if (this.#watched.has(res) || res.closed) return;
    this.#watched.set(res, { socket, takenBytes: socket.bytesWritten, unsentBytes: 0, since: this.#clock.now() });
    res.once("close", () => this.#forget(res));
    this.#stopLooking ??= this.#clock.every(this.#limits.timeoutCheckMs, () => this.#look());
  }

  #forget(res: ServerResponse): void {
    this.#watched.delete(res);
    if (this.#watched.size > 0) return;
    this.#stopLooking?.();
    this.#stopLooking = undefined;
  }

  #look(): void {
    const now = this.#clock.now();
    for (const watched of this.#watched.values()) {
      const { socket } = watched;
      const takenBytes = socket.bytesWritten - socket.writableLength;
      const unsentBytes = unsentOf(socket);
      const waits = socket.writableLength > 0;
      if (!waits || takenBytes !== watched.takenBytes || unsentBytes !== watched.unsentBytes) {
        watched.takenBytes = takenBytes;
        watched.unsentBytes = unsentBytes;
        watched.since = now;
      } else if (now - watched.since >= this.#limits.stalledClientMs) socket.destroy();
    }
  }
}

interface Watched {
  readonly socket: Socket;
  /** Of the pieces that are out as a whole. */
  takenBytes: number;
  /** What is left of the piece that is going out. */
  unsentBytes: number;
  /** When either was last seen to change. */
  since: number;
}

/** As Node's own timer of a socket sees it; there is no public name for it. */
function unsentOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null };
  return handle?.writeQueueSize ?? 0;
}
