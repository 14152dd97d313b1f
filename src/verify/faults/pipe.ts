import type { Socket } from "node:net";
import type { Clock, Random } from "../../base/index.ts";
import type { StreamTally } from "./counts.ts";
import type { StreamFaults } from "./fault.ts";
import { reset } from "./reset.ts";

/** What a pipe does next: pass bytes on, wait, or end in one of the ways a connection can. */
export type Step =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "wait"; readonly ms: number }
  /** Both sides are reset, once everything before has been passed on. */
  | { readonly kind: "cut" }
  /** From here on nothing arrives any more, for as long as the connection lives. */
  | { readonly kind: "silence" }
  | { readonly kind: "end" }
  | { readonly kind: "reset" };

export interface PipeOptions {
  readonly source: Socket;
  readonly sink: Socket;
  readonly faults: () => StreamFaults;
  readonly slowCloseMs: () => number;
  /** Looks into the bytes as they arrive. */
  readonly read: ((chunk: Buffer) => readonly Step[]) | undefined;
  readonly tally: StreamTally;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: PipeEvents;
}

export interface PipeEvents {
  /** A fault took effect. */
  bite(): void;
  cut(): void;
  slowClose(): void;
}

/** Held in one direction of one connection. Beyond it the sender is made to wait. */
const queueBytesMax = 1024 * 1024;
/** A throttled pipe writes as much at a time as it may send in this. */
const throttleStepMs = 50;

interface Queued {
  readonly step: Step;
  readonly dueAt: number;
}

/** One direction of one connection: bytes in order, late, slow, in pieces or not at all, never more than it may hold. */
export class Pipe {
  readonly #options: PipeOptions;
  readonly #queue: Queued[] = [];
  #queuedBytes = 0;
  #lastDueAt = 0;
  /** When the throttled line is free again. */
  #freeAt = 0;
  #leftBeforeCut = Number.POSITIVE_INFINITY;
  #silent = false;
  #stopped = false;
  #ended = false;
  #heldCounted = 0;
  #awake = () => {};

  constructor(options: PipeOptions) {
    this.#options = options;
    const { source, sink } = options;
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.on("end", () => {
      this.#ended = true;
      if (this.#stopped) source.destroy();
      this.#push({ kind: "end" });
    });
    source.on("error", () => {});
    source.on("close", (failed) => {
      if (failed || !this.#ended) this.#push({ kind: "reset" });
    });
    sink.on("drain", () => this.#awake());
    sink.on("close", () => this.stop());
    this.changed();
    void this.#run();
  }

  /** The faults are others now. */
  changed(): void {
    this.#leftBeforeCut = this.#options.faults().cutAfterBytes ?? Number.POSITIVE_INFINITY;
    this.#awake();
  }

  /** Whatever has not been passed on is lost; what still comes is thrown away. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#options.tally.droppedBytes += this.#queuedBytes;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#options.source.resume();
    this.#awake();
  }

  #take(chunk: Buffer): void {
    const { read, tally, source } = this.#options;
    if (this.#stopped) {
      tally.droppedBytes += chunk.length;
      return;
    }
    for (const step of read ? read(chunk) : [{ kind: "bytes", bytes: chunk } as const]) this.#push(step);
    if (this.#queuedBytes > queueBytesMax) source.pause();
  }

  #push(step: Step): void {
    if (this.#stopped) return;
    const { faults, clock, random, tally, events } = this.#options;
    const { latencyMs = 0, jitterMs = 0 } = faults();
    const delayMs = latencyMs + (jitterMs > 0 ? jitterMs * random.next() : 0);
    this.#lastDueAt = Math.max(this.#lastDueAt, clock.now() + delayMs);
    if (step.kind === "bytes") {
      this.#queuedBytes += step.bytes.length;
      if (delayMs > 0) {
        tally.delayedBytes += step.bytes.length;
        events.bite();
      }
    }
    this.#queue.push({ step, dueAt: this.#lastDueAt });
    this.#awake();
  }

  async #run(): Promise<void> {
    const { faults, clock } = this.#options;
    while (!this.#stopped) {
      const next = this.#queue[0];
      if (!next) await this.#pause();
      else if (faults().blackHole || this.#silent) {
        this.#countHeld();
        await this.#pause();
      } else if (next.dueAt > clock.now()) await this.#pause(next.dueAt - clock.now());
      else await this.#perform(next.step);
    }
  }

  /** Until something happens, or the time is over. */
  #pause(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === undefined ? () => {} : this.#options.clock.after(ms, () => resolve());
      this.#awake = () => {
        cancel();
        resolve();
      };
    });
  }

  #countHeld(): void {
    const { tally, events } = this.#options;
    tally.heldBytes += this.#queuedBytes - this.#heldCounted;
    this.#heldCounted = this.#queuedBytes;
    events.bite();
  }

  async #perform(step: Step): Promise<void> {
    const { sink, source, events, clock, slowCloseMs } = this.#options;
    if (step.kind === "bytes") {
      await this.#passOn(step.bytes);
      return;
    }
    this.#queue.shift();
    if (step.kind === "wait") await clock.sleep(step.ms);
    else if (step.kind === "silence") this.#silent = true;
    else if (step.kind === "cut") events.cut();
    else if (step.kind === "reset") reset(sink);
    else {
      if (slowCloseMs() > 0) {
        events.slowClose();
        await clock.sleep(slowCloseMs());
      }
      sink.end();
      if (sink.destroyed) source.destroy();
    }
  }

  /** Passes on the first of what is queued, or a piece of it. */
  async #passOn(bytes: Buffer): Promise<void> {
    const { faults, sink, source, tally, clock, events } = this.#options;
    const { sliceBytes = Number.POSITIVE_INFINITY, bytesPerSecond = Number.POSITIVE_INFINITY } = faults();
    if (this.#freeAt > clock.now() && bytesPerSecond < Number.POSITIVE_INFINITY) {
      await this.#pause(this.#freeAt - clock.now());
      return;
    }
    const stepBytes = Math.max(1, Math.floor((bytesPerSecond * throttleStepMs) / 1000));
    const length = Math.min(bytes.length, sliceBytes, stepBytes, this.#leftBeforeCut);
    const piece = length === bytes.length ? bytes : bytes.subarray(0, length);
    this.#forget(bytes, length);
    if (bytesPerSecond < Number.POSITIVE_INFINITY) {
      this.#freeAt = clock.now() + (length / bytesPerSecond) * 1000;
      tally.throttledBytes += length;
      events.bite();
    }
    tally.bytes += length;
    const isFull = length > 0 && !sink.write(piece);
    this.#leftBeforeCut -= length;
    if (this.#leftBeforeCut <= 0) {
      this.#cutHere(sink, source);
      return;
    }
    if (sliceBytes < Number.POSITIVE_INFINITY) {
      tally.slices++;
      events.bite();
      await clock.sleep(1);
    }
    while (isFull && sink.writableNeedDrain && !this.#stopped) await this.#pause();
  }

  /** Takes the first `length` bytes out of the queue. */
  #forget(bytes: Buffer, length: number): void {
    if (length === bytes.length) this.#queue.shift();
    else this.#queue[0] = { step: { kind: "bytes", bytes: bytes.subarray(length) }, dueAt: 0 };
    this.#queuedBytes -= length;
    this.#heldCounted = Math.min(this.#heldCounted, this.#queuedBytes);
    if (this.#queuedBytes < queueBytesMax / 2) this.#options.source.resume();
  }

  /** The receiver has all bytes up to here and then the end; the sender a reset. */
  #cutHere(sink: Socket, source: Socket): void {
    const { events } = this.#options;
    this.stop();
    sink.end(() => {
      reset(source);
      sink.destroy();
      events.cut();
    });
  }
}
