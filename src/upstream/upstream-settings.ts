import type { Balance, OutlierRules } from "../balancing/index.ts";
import { defaultOutlierRules } from "../balancing/index.ts";
import { StartError } from "../base/index.ts";
import type { Egress, HttpTls } from "../http/index.ts";
import { createHttpPool } from "../http/index.ts";
import { OptionReader } from "./option-reader.ts";
import type { ParsedTarget } from "./target.ts";
import { readTargets } from "./target.ts";
import type { HealthOptions, UpstreamLimits, UpstreamOptions } from "./upstream-options.ts";

/** Options with their defaults, in plain numbers. */
export interface UpstreamSettings {
  readonly targets: readonly ParsedTarget[];
  readonly balance: Balance;
  readonly zone: string | undefined;
  readonly slowStartMs: number;
  readonly health: HealthSettings | undefined;
  readonly outliers: OutlierRules | undefined;
  readonly retry: RetrySettings;
  readonly hedgeMs: number | undefined;
  readonly breaker: BreakerSettings | undefined;
  readonly limits: LimitSettings;
  readonly keepsHost: boolean;
  readonly tls: HttpTls | undefined;
  readonly egress: Egress;
}

export interface HealthSettings {
  readonly path: string;
  readonly intervalMs: number;
  readonly unhealthyIntervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
  readonly host: string | undefined;
}

export interface RetrySettings {
  readonly attempts: number;
  readonly statuses: ReadonlySet<number>;
  readonly tryMs: number;
  readonly budget: number;
}

export interface BreakerSettings {
  readonly failureRatio: number;
  readonly callsMin: number;
  readonly window: number;
  readonly openFor: number;
}

export interface LimitSettings {
  readonly requests: number;
  readonly requestsPerTarget: number;
  readonly connectMs: number;
  readonly answerHeaderBytes: number;
  readonly answerBodyBytes: number;
  readonly stalledMs: number;
  readonly resolveMs: number;
  readonly startMs: number;
  readonly tunnels: number;
  readonly tunnelIdleMs: number;
  readonly tunnelAgeMs: number;
  /** 0: as fast as it goes. */
  readonly tunnelBytesPerSecond: number;
}

const optionNames: readonly (keyof UpstreamOptions)[] = [
  ...([
    "targets",
    "balance",
    "zone",
    "slowStart",
    "health",
    "outliers",
    "retry",
    "hedge",
    "breaker",
    "limits",
  ] as const),
  ...(["host", "tls", "egress"] as const),
];

/** Declared by whom runs the gateway; still no place where a cloud hands out credentials. */
const egressDefault: Egress = { addresses: ["public", "private", "loopback"] };

/** Throws StartError UPSTREAM_OPTIONS_WRONG with all that is wrong, HTTP_TLS_UNUSABLE and HTTP_EGRESS_WRONG. */
export function readUpstreamOptions(name: string, given: UpstreamOptions): UpstreamSettings {
  const reader = new OptionReader(`upstream "${name}"`);
  const options = reader.fields("options", given, optionNames) as UpstreamOptions;
  const settings: UpstreamSettings = {
    targets: readTargets(options.targets, reader),
    balance: reader.oneOf(
      "balance",
      options.balance,
      ["p2c", "round-robin", "weighted", "least-request", "hash"],
      "p2c",
    ),
    zone: options.zone,
    slowStartMs: reader.ms("slowStart", options.slowStart, 30_000, 0),
    health: options.health ? readHealth(options.health, reader) : undefined,
    outliers: options.outliers === false ? undefined : readOutliers(options.outliers, reader),
    retry: readRetry(options.retry, reader),
    hedgeMs: options.hedge ? reader.ms("hedge.after", options.hedge.after, 0) : undefined,
    breaker: options.breaker === false ? undefined : readBreaker(options.breaker, reader),
    limits: readLimits(options.limits, reader),
    keepsHost: reader.oneOf("host", options.host, ["target", "client"], "target") === "client",
    tls: options.tls,
    egress: options.egress ?? egressDefault,
  };
  if (options.hedge && settings.retry.budget === 0) reader.wrong("hedge: it needs the budget of retry, which is off.");
  if (reader.problems.length > 0) throw new StartError("UPSTREAM_OPTIONS_WRONG", reader.problems);
  // Made for nothing, so that wrong TLS and egress are told now.
  void createHttpPool("http://localhost", { tls: settings.tls, egress: settings.egress }).close();
  return settings;
}

function readHealth(given: HealthOptions, reader: OptionReader): HealthSettings {
  const names = ["path", "interval", "unhealthyInterval", "timeout", "unhealthyAfter", "healthyAfter", "host"] as const;
  const health = reader.fields("health", given, names);
  const path = health.path ?? "";
  if (!/^\/[\x21-\x7e]*$/.test(path)) reader.wrong('health.path: write a path such as "/healthz".');
  return {
    path,
    intervalMs: reader.ms("health.interval", health.interval, 10_000, 10),
    unhealthyIntervalMs: reader.ms("health.unhealthyInterval", health.unhealthyInterval, 3000, 10),
    timeoutMs: reader.ms("health.timeout", health.timeout, 2000),
    unhealthyAfter: reader.count("health.unhealthyAfter", health.unhealthyAfter, 3),
    healthyAfter: reader.count("health.healthyAfter", health.healthyAfter, 2),
    host: health.host,
  };
}

function readOutliers(given: Exclude<UpstreamOptions["outliers"], false>, reader: OptionReader): OutlierRules {
  const names = ["consecutiveFailures", "failureRatio", "callsMin", "interval", "ejection", "ejectionMax"] as const;
  const outliers = reader.fields("outliers", given, [...names, "ejectedMax", "panic"]);
  const usual = defaultOutlierRules;
  return {
    consecutiveFailures: reader.count(
      "outliers.consecutiveFailures",
      outliers.consecutiveFailures,
      usual.consecutiveFailures,
    ),
    failureRatio: reader.part("outliers.failureRatio", outliers.failureRatio, usual.failureRatio),
    callsMin: reader.count("outliers.callsMin", outliers.callsMin, usual.callsMin),
    intervalMs: reader.ms("outliers.interval", outliers.interval, usual.intervalMs),
    ejectionMs: reader.ms("outliers.ejection", outliers.ejection, usual.ejectionMs),
    ejectionMaxMs: reader.ms("outliers.ejectionMax", outliers.ejectionMax, usual.ejectionMaxMs),
    ejectedMax: reader.part("outliers.ejectedMax", outliers.ejectedMax, usual.ejectedMax),
    panic: reader.part("outliers.panic", outliers.panic, usual.panic),
  };
}

const retriedStatuses: readonly number[] = [500, 502, 503, 504];

function readRetry(given: UpstreamOptions["retry"], reader: OptionReader): RetrySettings {
  const off = given === false;
  const retry = reader.fields("retry", given === false ? undefined : given, [
    "attempts",
    "statuses",
    "tryTimeout",
    "budget",
  ]);
  const isStatus = (each: unknown): boolean =>
    Number.isInteger(each) && (each as number) >= 400 && (each as number) <= 599;
  const wanted = retry.statuses ?? retriedStatuses;
  const isList = Array.isArray(wanted) && wanted.every(isStatus);
  if (!isList) reader.wrong("retry.statuses: write a list of statuses from 400 to 599.");
  return {
    attempts: off ? 1 : reader.count("retry.attempts", retry.attempts, 3, 10),
    statuses: new Set(off || !isList ? [] : wanted),
    tryMs: reader.ms("retry.tryTimeout", retry.tryTimeout, Number.POSITIVE_INFINITY),
    budget: off ? 0 : reader.part("retry.budget", retry.budget, 0.1),
  };
}

function readBreaker(given: Exclude<UpstreamOptions["breaker"], false>, reader: OptionReader): BreakerSettings {
  const breaker = reader.fields("breaker", given, ["failureRatio", "callsMin", "window", "openFor"]);
  return {
    failureRatio: reader.part("breaker.failureRatio", breaker.failureRatio, 0.5),
    callsMin: reader.count("breaker.callsMin", breaker.callsMin, 20),
    window: reader.ms("breaker.window", breaker.window, 10_000, 10),
    openFor: reader.ms("breaker.openFor", breaker.openFor, 5000),
  };
}

const limitNames: readonly (keyof UpstreamLimits)[] = [
  ...(["requests", "requestsPerTarget", "connect", "answerHeaders", "answerBody", "stalled", "resolve"] as const),
  ...(["start", "tunnels", "tunnelIdle", "tunnelAge", "tunnelBytesPerSecond"] as const),
];

function readLimits(given: UpstreamLimits | undefined, reader: OptionReader): LimitSettings {
  const limits = reader.fields("limits", given, limitNames);
  const speed = limits.tunnelBytesPerSecond;
  return {
    requests: reader.count("limits.requests", limits.requests, 1000),
    requestsPerTarget: reader.count("limits.requestsPerTarget", limits.requestsPerTarget, 256),
    connectMs: reader.ms("limits.connect", limits.connect, 1000),
    answerHeaderBytes: reader.bytes("limits.answerHeaders", limits.answerHeaders, 16 * 1024),
    answerBodyBytes: reader.bytes("limits.answerBody", limits.answerBody, 1024 ** 3),
    stalledMs: reader.ms("limits.stalled", limits.stalled, 60_000),
    resolveMs: reader.ms("limits.resolve", limits.resolve, 5000, 10),
    startMs: reader.ms("limits.start", limits.start, 3000),
    tunnels: reader.count("limits.tunnels", limits.tunnels, 1000),
    tunnelIdleMs: reader.ms("limits.tunnelIdle", limits.tunnelIdle, 300_000),
    tunnelAgeMs: reader.ms("limits.tunnelAge", limits.tunnelAge, 86_400_000),
    tunnelBytesPerSecond: speed === undefined ? 0 : reader.bytes("limits.tunnelBytesPerSecond", speed, 0),
  };
}
