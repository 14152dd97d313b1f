import type { IncomingHttpHeaders } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Balancer, Member } from "../balancing/index.ts";
import type { Clock, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { HttpExchange } from "../http/index.ts";
import { httpStatusOf, problemContentType, retryAfterOf, stringifyProblem, toProblem } from "../wire/index.ts";
import type { Endpoint } from "./endpoint.ts";
import { upstreamBroken, upstreamLoop, upstreamTimeout, upstreamUnavailable, upstreamUnreachable } from "./errors.ts";
import { answerHeaders, requestHeaders } from "./forward-headers.ts";
import type { TunnelEnd } from "./tunnel.ts";
import { limitLinger, Tunnel } from "./tunnel.ts";
import type { UpgradeRequest } from "./upstream.ts";
import type { UpstreamMetrics } from "./upstream-metrics.ts";
import type { UpstreamSettings } from "./upstream-settings.ts";

export interface UpgradingParts {
  readonly name: string;
  readonly clock: Clock;
  readonly balancer: Balancer<Endpoint>;
  readonly metrics: UpstreamMetrics;
  readonly settings: UpstreamSettings;
}

/** Targets that are asked, when the others could not be connected to. */
const triesMax = 3;
/** Of what a client says before it is answered; the rest waits on its way. */
const earlyBytesMax = 64 * 1024;
/** A client that says nothing more, before it was answered, does not wait. */
const goneEvents = ["end", "close", "error"] as const;
/** Of a refusal that a target has written itself. */
const refusalBytesMax = 64 * 1024;

/** A client's connection on its way to a target that changes the protocol, and then its tunnel. */
export class Upgrading {
  readonly #parts: UpgradingParts;
  readonly #request: UpgradeRequest;
  readonly #client: Duplex;
  /** What the client said before it was answered. */
  readonly #early: Buffer[];
  #earlyBytes = 0;
  readonly #onOver: () => void;
  readonly #tried: Member<Endpoint>[] = [];
  #member: Member<Endpoint> | undefined = undefined;
  #exchange: HttpExchange | undefined = undefined;
  #tunnel: Tunnel | undefined = undefined;
  #cancelTimer = (): void => {};
  #isOver = false;

  /** `onOver` runs once, when both connections are done with. */
  constructor(parts: UpgradingParts, request: UpgradeRequest, client: Duplex, head: Buffer, onOver: () => void) {
    this.#parts = parts;
    this.#request = request;
    this.#client = client;
    this.#early = [head];
    this.#onOver = onOver;
  }

  start(): void {
    const { clock, name } = this.#parts;
    // Read while it waits, or else nobody would notice that it left.
    for (const event of goneEvents) this.#client.on(event, this.#onClientGone);
    this.#client.on("data", this.#onEarly);
    const waitMs = Math.max(0, this.#request.deadline - clock.now());
    this.#cancelTimer = clock.after(waitMs, () => {
      const target = this.#member?.value.target.origin ?? "";
      const late = upstreamTimeout(name, target, this.#exchange?.wasSent ? "maybe" : "no");
      this.#leaveTarget(late, "timeout");
      this.refuse(late);
    });
    this.#try(upstreamUnavailable(name));
  }

  /** Ends it: a tunnel is cut, a client that still waits is answered. */
  cut(reason: PlinthError): void {
    if (this.#tunnel) this.#tunnel.cut(reason.reason);
    else {
      this.#leaveTarget(reason, "cancelled");
      this.refuse(reason);
    }
  }

  refuse(reason: PlinthError): void {
    if (this.#isOver) return;
    const status = httpStatusOf(reason);
    const retryAfter = retryAfterOf(reason);
    const extra = retryAfter === undefined ? [] : ["retry-after", retryAfter];
    const body = Buffer.from(stringifyProblem(toProblem(reason, { traceId: this.#request.trace?.traceId })));
    const headers = ["content-type", problemContentType, "cache-control", "no-store", ...extra];
    this.#answer(status, headers, body);
    this.#finish(status, { reason: reason.reason, bytesFromClient: 0, bytesFromTarget: 0 });
  }

  #try(otherwise: PlinthError): void {
    const { balancer, settings } = this.#parts;
    const key = this.#request.hashKey;
    const member = this.#tried.length < triesMax ? balancer.pick({ key, avoid: this.#tried }) : undefined;
    const options = { keepsHost: settings.keepsHost, keepsLength: false };
    const headers = member && requestHeaders(this.#request, options);
    if (!member || !headers) {
      this.refuse(member ? upstreamLoop(this.#parts.name) : otherwise);
      return;
    }
    this.#tried.push(member);
    this.#member = member;
    balancer.begin(member);
    const startedAt = this.#parts.clock.now();
    const { method, path } = this.#request;
    const exchange = member.value.pool.send(
      { method, path, headers, headTimeoutMs: 0, bodyTimeoutMs: 0, upgrade: protocolOf(this.#request.headers) },
      {
        onUpgrade: (received, socket) => {
          this.#settle("success", "upgraded", this.#parts.clock.now() - startedAt);
          this.#open(received, socket);
        },
        onHead: (status, received) => this.#collect(status, received),
        onChunk: (chunk) => this.#add(chunk),
        onEnd: () => this.#passRefusal(),
        onFailure: (reason) => this.#onFailure(member, reason),
      },
    );
    // It may have failed at once, and another one be under way.
    if (this.#member === member) this.#exchange = exchange;
  }

  #status = 0;
  #headers: string[] = [];
  #refusal: Buffer[] | undefined = undefined;
  #refusalBytes = 0;

  /** The target does not change the protocol: its answer is the client's. */
  #collect(status: number, headers: IncomingHttpHeaders): void {
    this.#settle(status >= 500 ? "failure" : "success", `${Math.floor(status / 100)}xx` as "4xx");
    this.#status = status;
    this.#headers = answerHeaders(headers);
    this.#refusal = [];
  }

  #add(chunk: Buffer): void {
    this.#refusal?.push(chunk);
    this.#refusalBytes += chunk.length;
    if (this.#refusalBytes <= refusalBytesMax) return;
    this.#exchange?.cancel(error("cancelled", "This is enough."));
    this.#passRefusal();
  }

  #passRefusal(): void {
    const body = Buffer.concat(this.#refusal ?? []).subarray(0, refusalBytesMax);
    const kept: string[] = [];
    for (let i = 0; i < this.#headers.length; i += 2) {
      if (this.#headers[i] !== "content-length") kept.push(this.#headers[i] as string, this.#headers[i + 1] as string);
    }
    this.#answer(this.#status, kept, body);
    this.#finish(this.#status, { reason: undefined, bytesFromClient: 0, bytesFromTarget: body.length });
  }

  #onFailure(member: Member<Endpoint>, reason: PlinthError): void {
    const { name } = this.#parts;
    const target = member.value.target.origin;
    if (this.#isOver) return;
    if (this.#refusal) {
      this.refuse(upstreamBroken(name, target, reason));
      return;
    }
    const isUnsent = reason.executed === "no";
    this.#settle("failure", isUnsent ? "unreachable" : "broken");
    if (isUnsent) this.#try(upstreamUnreachable(name, target, reason));
    else this.refuse(upstreamBroken(name, target, reason));
  }

  #open(headers: IncomingHttpHeaders, target: Duplex): void {
    this.#cancelTimer();
    // A tunnel is bounded by itself: it takes no place from requests.
    this.#release();
    const protocol = protocolOf(this.#request.headers);
    const lines = [`HTTP/1.1 101 ${STATUS_CODES[101]}`, "connection: upgrade", `upgrade: ${protocol}`];
    const kept = answerHeaders(headers);
    for (let i = 0; i < kept.length; i += 2) lines.push(`${kept[i]}: ${kept[i + 1]}`);
    for (const event of goneEvents) this.#client.off(event, this.#onClientGone);
    this.#client.off("data", this.#onEarly);
    this.#client.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    for (const chunk of this.#early) if (chunk.length > 0) target.write(chunk);
    const { limits } = this.#parts.settings;
    const { tunnelIdleMs: idleMs, tunnelAgeMs: ageMs, tunnelBytesPerSecond: bytesPerSecond } = limits;
    this.#tunnel = new Tunnel(this.#client, target, this.#parts.clock, { idleMs, ageMs, bytesPerSecond }, (end) =>
      this.#finish(101, end),
    );
    this.#client.resume();
  }

  #answer(status: number, headers: readonly string[], body: Buffer): void {
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}`];
    for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
    lines.push(`content-length: ${body.length}`, "connection: close");
    this.#client.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    limitLinger(this.#client, this.#parts.clock);
    this.#client.end(body);
  }

  /** The target's part in it is decided. */
  #settle(outcome: "success" | "failure", counted: Parameters<UpstreamMetrics["count"]>[1], latencyMs?: number): void {
    const { balancer, metrics } = this.#parts;
    const member = this.#member as Member<Endpoint>;
    balancer.observe(member, outcome, latencyMs);
    metrics.count(member.value.target.origin, counted);
    if (counted === "unreachable" || counted === "broken") this.#release();
  }

  #leaveTarget(reason: PlinthError, counted: "timeout" | "cancelled"): void {
    const { balancer, metrics } = this.#parts;
    if (!this.#member || this.#isOver) return;
    this.#exchange?.cancel(reason);
    balancer.observe(this.#member, counted === "timeout" ? "failure" : "unfinished");
    metrics.count(this.#member.value.target.origin, counted);
  }

  #release(): void {
    if (this.#member) this.#parts.balancer.end(this.#member);
    this.#member = undefined;
  }

  readonly #onEarly = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes > earlyBytesMax) this.#client.pause();
  };

  readonly #onClientGone = (): void => {
    if (this.#isOver) return;
    this.#leaveTarget(error("cancelled", "The client went away."), "cancelled");
    this.#client.destroy();
    this.#finish(499, { reason: "TUNNEL_CLIENT_GONE", bytesFromClient: 0, bytesFromTarget: 0 });
  };

  #finish(status: number, end: TunnelEnd): void {
    this.#isOver = true;
    this.#cancelTimer();
    this.#release();
    this.#request.onEnd?.({ status, ...end });
    this.#onOver();
  }
}

/** What the client asked to change to; a WebSocket where it did not say. */
function protocolOf(headers: readonly string[]): string {
  for (let i = 0; i < headers.length; i += 2)
    if ((headers[i] as string).toLowerCase() === "upgrade") return headers[i + 1] as string;
  return "websocket";
}
