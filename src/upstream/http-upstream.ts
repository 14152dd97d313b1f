import type { Duplex } from "node:stream";
import type { Clock, Deadlines, Random } from "../base/index.ts";
import { createDeadlines, error, isError, PlinthError } from "../base/index.ts";
import type { CircuitBreaker, RetryBudget } from "../resilience/index.ts";
import { createCircuitBreaker, createRetryBudget } from "../resilience/index.ts";
import type { Metrics } from "../telemetry/index.ts";
import { isSick } from "./attempt.ts";
import { upstreamBusy, upstreamLoop, upstreamUnavailable } from "./errors.ts";
import { requestHeaders } from "./forward-headers.ts";
import type { ForwardingOwner, ForwardParts } from "./forwarding.ts";
import { Forwarding } from "./forwarding.ts";
import type { UpstreamLog } from "./log.ts";
import type { Resolve } from "./resolver.ts";
import { systemResolve } from "./resolver.ts";
import { TargetGroup } from "./target-group.ts";
import { Upgrading } from "./upgrading.ts";
import type {
  ForwardAnswer,
  ForwardReceiver,
  ForwardRequest,
  TargetState,
  UpgradeRequest,
  Upstream,
} from "./upstream.ts";
import type { UpstreamMetrics } from "./upstream-metrics.ts";
import { createUpstreamMetrics } from "./upstream-metrics.ts";
import type { UpstreamOptions } from "./upstream-options.ts";
import type { UpstreamSettings } from "./upstream-settings.ts";
import { readUpstreamOptions } from "./upstream-settings.ts";

export interface UpstreamParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly log?: UpstreamLog | undefined;
  /** Default: the system's. */
  readonly resolve?: Resolve | undefined;
}

/** Throws StartError UPSTREAM_OPTIONS_WRONG, HTTP_TLS_UNUSABLE and HTTP_EGRESS_WRONG. */
export function createUpstream(name: string, options: UpstreamOptions, parts: UpstreamParts): Upstream {
  return new HttpUpstream(name, readUpstreamOptions(name, options), parts);
}

/** Tunnels are closed one after the other within this time, so that their clients do not all come back at once. */
const tunnelCloseMs = 5000;

class HttpUpstream implements Upstream {
  readonly name: string;
  readonly #parts: UpstreamParts;
  readonly #metrics: UpstreamMetrics;
  readonly #deadlines: Deadlines;
  readonly #group: TargetGroup;
  readonly #tunnels = new Set<Upgrading>();
  #settings: UpstreamSettings;
  #budget: RetryBudget;
  #breaker: CircuitBreaker | undefined;
  /** Tells the breaker of what it lets pass. */
  #counting: ForwardingOwner;
  /** Of what the breaker runs itself. */
  readonly #uncounting = this.#newOwner(undefined);
  #forward: ForwardParts;
  #inFlight = 0;
  #isDraining = false;
  #onIdle: (() => void) | undefined = undefined;

  constructor(name: string, settings: UpstreamSettings, parts: UpstreamParts) {
    this.name = name;
    this.#parts = parts;
    this.#settings = settings;
    this.#deadlines = createDeadlines(parts.clock);
    this.#metrics = createUpstreamMetrics(name, parts.metrics, () => ({
      states: () => this.states(),
      inFlight: this.#inFlight,
      tunnels: this.#tunnels.size,
      isPanicking: this.#group.balancer.isPanicking,
      breaker: this.#breaker?.state ?? "closed",
    }));
    this.#group = new TargetGroup(name, settings, {
      clock: parts.clock,
      random: parts.random,
      resolve: parts.resolve ?? systemResolve,
      log: parts.log ?? (() => {}),
      metrics: this.#metrics,
    });
    this.#budget = this.#newBudget();
    this.#breaker = this.#newBreaker();
    this.#counting = this.#newOwner(this.#breaker);
    this.#forward = this.#forwardParts();
  }

  forward(request: ForwardRequest): Promise<ForwardAnswer> {
    return new Promise((resolve, reject) => this.forwardTo({ onAnswer: resolve, onFailure: reject }, request));
  }

  forwardTo(receiver: ForwardReceiver, request: ForwardRequest): void {
    let headers: readonly string[];
    try {
      headers = this.#admit(request);
    } catch (thrown) {
      receiver.onFailure(thrown);
      return;
    }
    const breaker = this.#breaker;
    if (!breaker || breaker.state === "closed") this.#send(receiver, request, headers, this.#counting);
    else
      this.#probe(breaker, request, headers).then(
        (answer) => receiver.onAnswer(answer),
        (thrown) => receiver.onFailure(thrown),
      );
  }

  /** The headers as they are sent. */
  #admit(request: ForwardRequest): readonly string[] {
    const { limits, keepsHost } = this.#settings;
    if (this.#isDraining) throw this.#refused(upstreamUnavailable(this.name));
    if (this.#inFlight >= limits.requests) throw this.#refused(upstreamBusy(this.name, limits.requests));
    const headers = requestHeaders(request, { keepsHost, keepsLength: isStream(request.body) });
    if (!headers) throw this.#refused(upstreamLoop(this.name));
    return headers;
  }

  /** While the circuit is open: refused, or the one that finds out whether it may close. */
  async #probe(breaker: CircuitBreaker, request: ForwardRequest, headers: readonly string[]): Promise<ForwardAnswer> {
    try {
      return await breaker.run(async () => {
        const answer = await new Promise<ForwardAnswer>((resolve, reject) =>
          this.#send({ onAnswer: resolve, onFailure: reject }, request, headers, this.#uncounting),
        ).catch(throwUncounted);
        if (isSick(answer.status)) throw new SickAnswer(answer);
        return answer;
      });
    } catch (thrown) {
      if (thrown instanceof SickAnswer) return thrown.answer;
      if (thrown instanceof OwnRefusal) throw thrown.refusal;
      if (thrown instanceof PlinthError && thrown.reason === "CIRCUIT_OPEN") this.#refused(thrown);
      throw thrown;
    }
  }

  upgrade(request: UpgradeRequest, socket: Duplex, head: Buffer): void {
    const { limits } = this.#settings;
    const upgrading = new Upgrading(this.#forward, request, socket, head, () => {
      this.#tunnels.delete(upgrading);
      this.#checkIdle();
    });
    if (this.#isDraining) upgrading.refuse(this.#refused(upstreamUnavailable(this.name)));
    else if (this.#tunnels.size >= limits.tunnels)
      upgrading.refuse(this.#refused(upstreamBusy(this.name, limits.tunnels)));
    else {
      this.#tunnels.add(upgrading);
      upgrading.start();
    }
  }

  update(options: UpstreamOptions): void {
    const settings = readUpstreamOptions(this.name, options);
    const before = this.#settings;
    this.#settings = settings;
    this.#group.update(settings);
    if (settings.retry.budget !== before.retry.budget) this.#budget = this.#newBudget();
    if (JSON.stringify(settings.breaker) !== JSON.stringify(before.breaker)) {
      this.#breaker = this.#newBreaker();
      this.#counting = this.#newOwner(this.#breaker);
    }
    this.#forward = this.#forwardParts();
  }

  states(): readonly TargetState[] {
    return this.#group.states();
  }

  async start(): Promise<void> {
    await this.#group.start();
  }

  async drain(): Promise<void> {
    const { clock, random } = this.#parts;
    this.#isDraining = true;
    for (const tunnel of this.#tunnels) clock.after(random.next() * tunnelCloseMs, () => tunnel.cut(leaving));
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      this.#checkIdle();
    });
  }

  async close(): Promise<void> {
    this.#isDraining = true;
    for (const tunnel of this.#tunnels) tunnel.cut(leaving);
    await this.#group.close();
    this.#metrics.close();
  }

  #send(receiver: ForwardReceiver, request: ForwardRequest, headers: readonly string[], owner: ForwardingOwner): void {
    this.#inFlight++;
    this.#budget.deposit();
    new Forwarding(this.#forward, request, headers, owner, receiver).start();
  }

  #newOwner(breaker: CircuitBreaker | undefined): ForwardingOwner {
    return {
      onAnswer(status) {
        if (isSick(status)) breaker?.onFailure(sick);
        else breaker?.onAnswer();
      },
      onFailure(reason) {
        if (!isError(reason, "UPSTREAM_UNAVAILABLE")) breaker?.onFailure(reason);
      },
      onOver: () => {
        this.#inFlight--;
        this.#checkIdle();
      },
    };
  }

  #checkIdle(): void {
    if (this.#inFlight === 0 && this.#tunnels.size === 0) this.#onIdle?.();
  }

  #refused<E extends PlinthError>(reason: E): E {
    this.#metrics.countRefusal(reason.reason);
    return reason;
  }

  #newBudget(): RetryBudget {
    const ratio = this.#settings.retry.budget;
    return createRetryBudget({ ratio, floorPerSecond: ratio === 0 ? 0 : 1, clock: this.#parts.clock });
  }

  #newBreaker(): CircuitBreaker | undefined {
    const { breaker } = this.#settings;
    const { name } = this;
    const log = this.#parts.log;
    return (
      breaker &&
      createCircuitBreaker({
        ...breaker,
        name,
        clock: this.#parts.clock,
        onChange: (state) => log?.(state === "open" ? "warn" : "info", "upstream's circuit changed", { name, state }),
      })
    );
  }

  #forwardParts(): ForwardParts {
    const { limits } = this.#settings;
    const group = this.#group;
    return {
      name: this.name,
      clock: this.#parts.clock,
      random: this.#parts.random,
      deadlines: this.#deadlines,
      // That of now, also for what began before other options came.
      get balancer() {
        return group.balancer;
      },
      metrics: this.#metrics,
      settings: this.#settings,
      budget: this.#budget,
      stalledMs: limits.stalledMs,
      answerBytesMax: limits.answerBodyBytes,
    };
  }
}

/** UPSTREAM_LEAVING: this process is shutting down. */
const leaving = error("unavailable", "This process is shutting down.", { reason: "UPSTREAM_LEAVING", retry: 1000 });

/** What an answer of 5xx is to the circuit breaker. */
const sick = error("internal", "The target answered with an error.");

/** An answer of 5xx that the client gets, and that the circuit breaker counts. */
class SickAnswer extends PlinthError {
  readonly answer: ForwardAnswer;

  constructor(answer: ForwardAnswer) {
    super("internal", "The target answered with an error.");
    this.answer = answer;
  }
}

/** That no target is known, or all are full, is no failure of theirs: the circuit breaker does not count it. */
class OwnRefusal extends PlinthError {
  readonly refusal: PlinthError;

  constructor(refusal: PlinthError) {
    super("cancelled", refusal.message);
    this.refusal = refusal;
  }
}

function throwUncounted(thrown: unknown): never {
  throw isError(thrown, "UPSTREAM_UNAVAILABLE") ? new OwnRefusal(thrown) : thrown;
}

function isStream(body: ForwardRequest["body"]): boolean {
  return body !== undefined && !Buffer.isBuffer(body);
}
