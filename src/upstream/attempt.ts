import type { IncomingHttpHeaders } from "node:http";
import type { Balancer, Member } from "../balancing/index.ts";
import type { Clock, DeadlineEntry, Deadlines, PlinthError } from "../base/index.ts";
import { error, isError } from "../base/index.ts";
import type { ExchangeEvents, HttpExchange, HttpRequest } from "../http/index.ts";
import type { BodySource } from "./answer-body.ts";
import { AnswerBody } from "./answer-body.ts";
import { BodyFeed } from "./body-feed.ts";
import type { Endpoint } from "./endpoint.ts";
import {
  requestBodyBroken,
  upstreamAnswerTooLarge,
  upstreamBroken,
  upstreamConnectTimeout,
  upstreamStalled,
  upstreamTimeout,
  upstreamUnavailable,
  upstreamUnreachable,
} from "./errors.ts";
import type { AttemptOutcome, UpstreamMetrics } from "./upstream-metrics.ts";

export interface AttemptParts {
  readonly name: string;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly balancer: Balancer<Endpoint>;
  readonly metrics: UpstreamMetrics;
  readonly stalledMs: number;
  readonly answerBytesMax: number;
}

/** Who made the attempt. Hears of one `onAnswer` or one `onFailure`, if it does not cancel it, and at last of `onOver`. */
export interface AttemptOwner {
  onAnswer(attempt: Attempt, status: number, headers: IncomingHttpHeaders): void;
  onFailure(attempt: Attempt, reason: PlinthError): void;
  onOver(attempt: Attempt): void;
}

/** What is read of an answer that nobody gets, so that its connection can be used again. */
const discardedBytesMax = 64 * 1024;

const [waiting, answered, over] = [0, 1, 2] as const;

/** From 200 on. */
const statusClasses: readonly AttemptOutcome[] = ["2xx", "3xx", "4xx", "5xx"];

/** One try of a request at one endpoint, from the moment it was picked until its answer's last byte. */
export class Attempt implements ExchangeEvents, DeadlineEntry, BodySource {
  deadlineSlot = -1;
  deadlinePrev: DeadlineEntry | undefined = undefined;
  deadlineNext: DeadlineEntry | undefined = undefined;
  deadlineAt = 0;

  readonly member: Member<Endpoint>;
  readonly #parts: AttemptParts;
  readonly #owner: AttemptOwner;
  #phase: typeof waiting | typeof answered | typeof over = waiting;
  #exchange: HttpExchange | undefined = undefined;
  #feed: BodyFeed | undefined = undefined;
  #body: AnswerBody | undefined = undefined;
  /** What came in one piece, while somebody can take it. */
  #whole: Buffer | undefined = undefined;
  #collected: { readonly chunks: Buffer[]; readonly then: (body: Buffer) => void } | undefined = undefined;
  #bytes = 0;
  #startedAt = 0;

  /** Its place with the member is taken at once, though it may be sent later. */
  constructor(member: Member<Endpoint>, parts: AttemptParts, owner: AttemptOwner) {
    this.member = member;
    this.#parts = parts;
    this.#owner = owner;
    parts.balancer.begin(member);
  }

  get target(): string {
    return this.member.value.target.origin;
  }

  /** Whether the request's body is still whole, for another try. */
  get leftBodyWhole(): boolean {
    return this.#feed?.hasBegun !== true;
  }

  send(request: HttpRequest, nowMs: number, untilMs: number): void {
    this.#startedAt = nowMs;
    this.#parts.deadlines.add(this, untilMs);
    if (request.body instanceof BodyFeed) this.#feed = request.body;
    this.#exchange = this.member.value.pool.send(request, this);
  }

  /** All of an answer that came in one piece, which then is over; undefined where it did not. */
  takeWhole(): string | undefined {
    const whole = this.#whole;
    this.#whole = undefined;
    return whole?.toString("latin1");
  }

  /** The answer's body from here on; undefined when there is none to come. */
  open(hasBody: boolean): AnswerBody | undefined {
    if (hasBody && this.#phase === answered) this.#body = new AnswerBody(this);
    return this.#body;
  }

  /** Keeps a short body, and gives it when the exchange is over. */
  collect(then: (body: Buffer) => void): void {
    this.#collected = { chunks: [], then };
  }

  cancel(reason: PlinthError): void {
    if (this.#phase === over) return;
    if (this.#phase === waiting) {
      const isLate = isError(reason, "deadline_exceeded");
      if (this.#exchange) this.#observe(isLate ? "failure" : "unfinished");
      this.#count(isLate ? "timeout" : "cancelled");
    }
    this.#exchange?.cancel(reason);
    this.#end();
    this.#body?.destroy(reason);
  }

  onHead(status: number, headers: IncomingHttpHeaders): void {
    this.#phase = answered;
    this.#parts.deadlines.remove(this);
    const tookMs = this.#parts.clock.now() - this.#startedAt;
    this.#observe(isSick(status) ? "failure" : "success", tookMs);
    this.#parts.metrics.observeHead(tookMs / 1000);
    this.#count(statusClasses[Math.floor(status / 100) - 2] ?? "broken");
    this.#owner.onAnswer(this, status, headers);
  }

  onWhole(status: number, headers: IncomingHttpHeaders, body: Buffer): void {
    this.#whole = body;
    this.onHead(status, headers);
    const left = this.#whole;
    this.#whole = undefined;
    if (this.#phase !== answered) return;
    if (left && left.length > 0) this.onChunk(Buffer.from(left));
    if (this.#phase === answered) this.onEnd();
  }

  onChunk(chunk: Buffer): void {
    this.#bytes += chunk.length;
    const { name, answerBytesMax } = this.#parts;
    if (this.#collected) this.#collected.chunks.push(chunk);
    else if (!this.#body) {
      if (this.#bytes > discardedBytesMax) this.leave();
    } else if (this.#bytes > answerBytesMax) {
      this.#body.destroy(upstreamAnswerTooLarge(name, this.target, answerBytesMax));
    } else this.#body.add(chunk);
  }

  onEnd(): void {
    this.#end();
    this.#body?.finish();
    this.#collected?.then(Buffer.concat(this.#collected.chunks));
  }

  onFailure(reason: PlinthError): void {
    const source = this.#feed?.sourceFailure;
    if (this.#phase === answered) {
      if (!source) this.#observe("failure");
      this.#end();
      const failure = source ? requestBodyBroken(source) : this.#meaningWithin(reason);
      this.#body?.destroy(failure);
      if (this.#collected) this.#owner.onFailure(this, failure);
      return;
    }
    if (source) {
      // The client's doing: its body broke off, or was too large.
      this.#count("cancelled");
      this.#end();
      this.#owner.onFailure(this, requestBodyBroken(source));
      return;
    }
    const [failure, outcome] = this.#meaningOf(reason);
    if (outcome !== "cancelled") this.#observe("failure");
    this.#count(outcome);
    this.#end();
    this.#owner.onFailure(this, failure);
  }

  onDeadline(): void {
    const failure = upstreamTimeout(this.#parts.name, this.target, this.#exchange?.wasSent ? "maybe" : "no");
    this.#exchange?.cancel(failure);
    this.#observe("failure");
    this.#count("timeout");
    this.#end();
    this.#owner.onFailure(this, failure);
  }

  pause(): void {
    this.#exchange?.pause();
  }

  resume(): void {
    this.#exchange?.resume();
  }

  leave(): void {
    if (this.#phase === over) return;
    this.#exchange?.cancel(error("cancelled", "Nobody wants the rest."));
    this.#end();
  }

  #meaningOf(reason: PlinthError): readonly [PlinthError, AttemptOutcome] {
    const { name } = this.#parts;
    const { target } = this;
    if (reason.reason === "HTTP_CONNECT_TIMEOUT") return [upstreamConnectTimeout(name, target, reason), "unreachable"];
    if (reason.reason === "HTTP_CONNECTION_LOST") return [upstreamBroken(name, target, reason), "broken"];
    if (reason.reason === "HTTP_CLOSED") return [upstreamUnavailable(name, reason.executed), "cancelled"];
    if (reason.reason === "HTTP_REQUEST_UNSENDABLE") return [reason, "cancelled"];
    return [upstreamUnreachable(name, target, reason), "unreachable"];
  }

  /** What it means within an answer. */
  #meaningWithin(reason: PlinthError): PlinthError {
    const { name } = this.#parts;
    return reason.code === "deadline_exceeded"
      ? upstreamStalled(name, this.target)
      : upstreamBroken(name, this.target, reason);
  }

  #observe(outcome: "success" | "failure" | "unfinished", tookMs = this.#parts.clock.now() - this.#startedAt): void {
    // How long a body took to be sent says nothing of the member.
    this.#parts.balancer.observe(this.member, outcome, this.#feed ? undefined : tookMs);
  }

  #count(outcome: AttemptOutcome): void {
    this.#parts.metrics.count(this.target, outcome);
  }

  #end(): void {
    this.#phase = over;
    this.#parts.deadlines.remove(this);
    this.#parts.balancer.end(this.member);
    this.#owner.onOver(this);
  }
}

/** Whether a status tells of trouble there: 501 and 505 are answers like any other. */
export function isSick(status: number): boolean {
  return status >= 500 && status !== 501 && status !== 505;
}
