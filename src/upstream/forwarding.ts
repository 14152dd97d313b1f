import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import type { Member } from "../balancing/index.ts";
import type { PlinthError, Random } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { RetryBudget } from "../resilience/index.ts";
import type { AttemptOwner, AttemptParts } from "./attempt.ts";
import { Attempt } from "./attempt.ts";
import { BodyFeed } from "./body-feed.ts";
import type { Endpoint } from "./endpoint.ts";
import { upstreamAnswerTooLarge, upstreamTimeout, upstreamUnavailable } from "./errors.ts";
import { answerHeaders } from "./forward-headers.ts";
import { isRefusal, mayBeRefusal } from "./refusal.ts";
import type { ForwardReceiver, ForwardRequest } from "./upstream.ts";
import type { RetryCause } from "./upstream-metrics.ts";
import type { UpstreamSettings } from "./upstream-settings.ts";

export interface ForwardParts extends AttemptParts {
  readonly settings: UpstreamSettings;
  readonly budget: RetryBudget;
  readonly random: Random;
}

/** Hears of one `onAnswer` or one `onFailure`, and of `onOver` when nothing is under way any more. */
export interface ForwardingOwner {
  onAnswer(status: number): void;
  onFailure(reason: PlinthError): void;
  onOver(): void;
}

/** Methods of which doing it twice is as good as once (RFC 9110, 9.2.2; RFC 10008). */
const idempotentMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"]);

const backoffMinMs = 25;
const backoffMaxMs = 250;

/**
 * One request, tried at one target after the other until somebody answers it.
 *
 * Another try is made only where it is safe: the request never left, or the target says itself that it did nothing, or it
 * may be repeated; its body is still whole; never once an answer is on its way to the client. It goes to another target if there is one, within the attempts, the deadline
 * and the budget that all requests share. A hedge is a second try beside the first, under the same rules; who answers first
 * wins, and the other is cancelled.
 */
export class Forwarding implements AttemptOwner {
  readonly #parts: ForwardParts;
  readonly #request: ForwardRequest;
  readonly #headers: readonly string[];
  readonly #isRepeatable: boolean;
  readonly #owner: ForwardingOwner;
  readonly #tried: Member<Endpoint>[] = [];
  /** Those that may still answer. */
  #live: readonly Attempt[] = none;
  /** Those, and others whose answer is read to its end for nothing, or for the client. */
  #open: readonly Attempt[] = none;
  #isSettled = false;
  #winner: Attempt | undefined = undefined;
  readonly #receiver: ForwardReceiver;
  #forgetCancel = nothing;
  #stopTimer = nothing;
  #stopHedge = nothing;

  constructor(
    parts: ForwardParts,
    request: ForwardRequest,
    headers: readonly string[],
    owner: ForwardingOwner,
    receiver: ForwardReceiver,
  ) {
    this.#parts = parts;
    this.#request = request;
    this.#headers = headers;
    this.#owner = owner;
    this.#receiver = receiver;
    this.#isRepeatable = request.isIdempotent ?? idempotentMethods.has(request.method);
  }

  start(): void {
    const { balancer, name, clock, settings } = this.#parts;
    const member = balancer.pick({ key: this.#request.hashKey });
    const nowMs = clock.now();
    if (!member || this.#request.deadline <= nowMs) {
      this.#fail(member ? upstreamTimeout(name, member.value.target.origin, "no") : upstreamUnavailable(name));
      return;
    }
    this.#forgetCancel = this.#request.onCancel((reason) => this.#cancel(reason));
    if (this.#isSettled) return;
    this.#launch(member, 0, nowMs);
    if (settings.hedgeMs !== undefined && this.#isRepeatable && !(this.#request.body instanceof Readable))
      this.#stopHedge = clock.after(settings.hedgeMs, () => this.#hedge());
  }

  onAnswer(attempt: Attempt, status: number, headers: IncomingHttpHeaders): void {
    if (!this.#isRepeatable && attempt.leftBodyWhole && mayBeRefusal(status, headers)) {
      attempt.collect((body) => this.#onRefusal(attempt, status, headers, body));
      return;
    }
    const isToRetry = this.#parts.settings.retry.statuses.has(status) && this.#mayRepeat(attempt);
    if (isToRetry && (this.#live.length > 1 || this.#tryAgain("status", attempt))) {
      this.#live = without(this.#live, attempt);
      return;
    }
    this.#settle();
    this.#winner = attempt;
    for (const other of this.#live) if (other !== attempt) other.cancel(hedged);
    const { name, answerBytesMax } = this.#parts;
    const length = Number(headers["content-length"] ?? Number.NaN);
    if (length > answerBytesMax) {
      attempt.leave();
      this.#refuse(upstreamAnswerTooLarge(name, attempt.target, answerBytesMax));
      return;
    }
    const hasBody = this.#request.method !== "HEAD" && status !== 204 && status !== 304 && length !== 0;
    const whole = this.#request.takesWhole ? attempt.takeWhole() : undefined;
    const body = whole === undefined ? attempt.open(hasBody) : undefined;
    this.#answer(attempt, status, headers, body, hasBody ? whole : undefined);
  }

  /** Of a request that may not be repeated: if the target did nothing, it has not been done yet. */
  #onRefusal(attempt: Attempt, status: number, headers: IncomingHttpHeaders, body: Buffer): void {
    if (this.#isSettled || (isRefusal(body) && this.#tryAgain("status", attempt))) return;
    this.#settle();
    this.#forgetCancel();
    this.#answer(attempt, status, headers, body.length === 0 ? undefined : Readable.from([body]));
    this.#owner.onOver();
  }

  #answer(
    attempt: Attempt,
    status: number,
    headers: IncomingHttpHeaders,
    body: Readable | undefined,
    whole?: string,
  ): void {
    const attempts = this.#tried.length;
    this.#owner.onAnswer(status);
    const { target } = attempt;
    this.#receiver.onAnswer({ status, headers: answerHeaders(headers), body, whole, target, attempts });
  }

  onFailure(attempt: Attempt, reason: PlinthError): void {
    // A hedge, or the one that it is for, may still answer.
    if (this.#isSettled || this.#live.length > 0) return;
    const isSafe = (reason.executed === "no" && attempt.leftBodyWhole) || this.#mayRepeat(attempt);
    if (isSafe && this.#tryAgain(causeOf(reason), attempt, reason.executed === "no")) return;
    this.#fail(reason);
  }

  onOver(attempt: Attempt): void {
    this.#live = without(this.#live, attempt);
    this.#open = without(this.#open, attempt);
    if (this.#winner === attempt) this.#forgetCancel();
    if (this.#isSettled && this.#open.length === 0) this.#owner.onOver();
  }

  #mayRepeat(attempt: Attempt): boolean {
    return !this.#isSettled && this.#isRepeatable && attempt.leftBodyWhole;
  }

  /** Picks, pays and sends or waits; false when there is to be no other try. */
  #tryAgain(cause: RetryCause, failed: Attempt, isUnsent = false): boolean {
    const { balancer, settings, random, clock, budget, metrics } = this.#parts;
    if (this.#tried.length >= settings.retry.attempts) return false;
    const key = this.#request.hashKey;
    const other = balancer.pick({ key, avoid: this.#tried });
    // An answer is better than to ask the same one again.
    const member = other ?? (cause === "status" ? undefined : balancer.pick({ key }));
    if (!member) return false;
    const backoffMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** (this.#tried.length - 1)) * random.next();
    const waitMs = isUnsent && member !== failed.member ? 0 : backoffMs;
    const nowMs = clock.now();
    if (nowMs + waitMs >= this.#request.deadline) return false;
    if (!budget.withdraw()) {
      metrics.countRefusedRetry();
      return false;
    }
    metrics.countRetry(cause);
    this.#launch(member, waitMs, nowMs);
    return true;
  }

  #hedge(): void {
    if (this.#isSettled || this.#live.length !== 1) return;
    const { balancer, clock, settings, budget, metrics } = this.#parts;
    if (this.#tried.length >= settings.retry.attempts) return;
    const member = balancer.pick({ key: this.#request.hashKey, avoid: this.#tried });
    if (!member) return;
    if (budget.withdraw()) {
      metrics.countRetry("hedge");
      this.#launch(member, 0, clock.now());
    } else metrics.countRefusedRetry();
  }

  #launch(member: Member<Endpoint>, waitMs: number, nowMs: number): void {
    const attempt = new Attempt(member, this.#parts, this);
    this.#tried.push(member);
    // Lists are replaced, not changed: whoever goes through one may make attempts end. There is one as a rule.
    this.#live = this.#live.length === 0 ? [attempt] : [...this.#live, attempt];
    this.#open = this.#open.length === 0 ? [attempt] : [...this.#open, attempt];
    const { clock } = this.#parts;
    if (waitMs < 1) this.#send(attempt, nowMs);
    else this.#stopTimer = clock.after(waitMs, () => this.#send(attempt, clock.now()));
  }

  #send(attempt: Attempt, nowMs: number): void {
    const { settings, stalledMs } = this.#parts;
    const { method, path, body, deadline } = this.#request;
    attempt.send(
      {
        method,
        path,
        headers: this.#headers,
        body: body instanceof Readable ? new BodyFeed(body) : body,
        headTimeoutMs: 0,
        bodyTimeoutMs: stalledMs,
      },
      nowMs,
      Math.min(deadline, nowMs + settings.retry.tryMs),
    );
  }

  #cancel(reason: PlinthError): void {
    if (this.#winner) {
      this.#winner.cancel(reason);
      return;
    }
    this.#settle();
    const isIdle = this.#open.length === 0;
    for (const attempt of this.#open) attempt.cancel(reason);
    this.#refuse(reason);
    if (isIdle) this.#owner.onOver();
  }

  #fail(reason: PlinthError): void {
    const isIdle = this.#open.length === 0;
    this.#settle();
    this.#forgetCancel();
    this.#refuse(reason);
    if (isIdle) this.#owner.onOver();
  }

  #refuse(reason: PlinthError): void {
    this.#owner.onFailure(reason);
    this.#receiver.onFailure(reason);
  }

  #settle(): void {
    this.#isSettled = true;
    this.#stopTimer();
    this.#stopHedge();
  }
}

function without(attempts: readonly Attempt[], gone: Attempt): readonly Attempt[] {
  if (attempts.length === 1) return attempts[0] === gone ? none : attempts;
  return attempts.filter((attempt) => attempt !== gone);
}

const none: readonly Attempt[] = [];

const nothing = (): void => {};

const hedged = error("cancelled", "Another target has answered.");

function causeOf({ reason }: PlinthError): RetryCause {
  if (reason === "UPSTREAM_TIMEOUT") return "timeout";
  return reason === "UPSTREAM_BROKEN" ? "broken" : "unreachable";
}
