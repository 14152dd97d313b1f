import type { Socket } from "node:net";
import type { Clock, Random } from "../../base/index.ts";
import type { FaultTally } from "./counts.ts";
import type { LineReader, LineReaderOptions } from "./exchange.ts";
import type { Direction, Faults } from "./fault.ts";
import { Pipe } from "./pipe.ts";
import { reset } from "./reset.ts";

export interface LinkOptions {
  readonly client: Socket;
  /** Still connecting. */
  readonly target: Socket;
  readonly faults: Faults;
  readonly read: ((options: Omit<LineReaderOptions, "judge">) => LineReader) | undefined;
  readonly tally: FaultTally;
  readonly clock: Clock;
  readonly random: Random;
  onClose(): void;
}

/** One connection through the proxy: a pipe each way. */
export class Link {
  readonly #options: LinkOptions;
  #faults: Faults;
  readonly #pipes: readonly Pipe[];
  #affected = false;
  #open = 2;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#faults = options.faults;
    const { client, target, tally } = options;
    let connected = false;
    target.once("connect", () => {
      connected = true;
    });
    target.once("error", () => {
      if (!connected) tally.targetFailures++;
    });
    const reader = options.read?.({
      dropped: (direction, byteCount) => {
        tally[direction].droppedBytes += byteCount;
      },
      bite: () => this.#bite(),
      unread: () => {
        tally.unreadConnections++;
      },
    });
    this.#pipes = [this.#pipe("up", client, target, reader), this.#pipe("down", target, client, reader)];
    for (const socket of [client, target]) {
      socket.on("close", () => {
        if (--this.#open === 0) options.onClose();
      });
    }
  }

  setFaults(faults: Faults): void {
    this.#faults = faults;
    for (const pipe of this.#pipes) pipe.changed();
  }

  reset(): void {
    this.#bite();
    this.#options.tally.resets++;
    this.end();
  }

  halfOpen(keep: "client" | "target"): void {
    const { client, target, tally } = this.#options;
    this.#bite();
    tally.halfOpened++;
    for (const pipe of this.#pipes) pipe.stop();
    reset(keep === "client" ? target : client);
  }

  end(): void {
    const { client, target } = this.#options;
    for (const pipe of this.#pipes) pipe.stop();
    reset(client);
    reset(target);
  }

  #pipe(direction: Direction, source: Socket, sink: Socket, reader: LineReader | undefined): Pipe {
    const { tally, clock, random } = this.#options;
    return new Pipe({
      source,
      sink,
      faults: () => this.#faults[direction] ?? {},
      slowCloseMs: () => this.#faults.slowCloseMs ?? 0,
      read: reader && ((chunk) => reader[direction](chunk)),
      tally: tally[direction],
      clock,
      random,
      events: {
        bite: () => this.#bite(),
        cut: () => {
          this.#bite();
          tally.cuts++;
          this.end();
        },
        slowClose: () => {
          this.#bite();
          tally.slowCloses++;
        },
      },
    });
  }

  #bite(): void {
    if (this.#affected) return;
    this.#affected = true;
    this.#options.tally.affectedConnections++;
  }
}
