import type { Clock } from "../base/index.ts";
import { StartError, systemClock } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import type { Engine } from "../engines/engine.ts";
import { engineOfScheme, engines } from "../engines/index.gen.ts";
import type { EngineSetting } from "./engine-settings.ts";
import { postgresSettings, redisSettings } from "./engine-settings.ts";
import type { PortCase, PortSuite } from "./port-suites.ts";
import {
  cachePort,
  databaseBrokerPort,
  databasePort,
  limiterPort,
  memoryBrokerPort,
  memoryCachePort,
  memoryLimiterPort,
} from "./port-suites.ts";

/**
 * The conformance suites on a user's own engine: every case of every port that the engine serves, and the settings of the
 * server on which our promises rest.
 *
 * Promises: works in schemas `plinth_suite_…`, cache namespaces and limits `suite-…` of its own, and removes them; each case has a
 * time limit, after which it has failed. A case that cannot be asked is told with its reason. Not promised: that a case
 * which ran out of time has left nothing behind; and what only a crash of the server would show, such as a disk that
 * lies. The label says on what it relies.
 */
export interface EngineReport {
  readonly engine: string;
  /** What an acknowledged write survives, with the settings as they are. */
  readonly guarantee: string;
  readonly settings: readonly EngineSetting[];
  readonly cases: readonly CaseResult[];
}

export interface CaseResult {
  readonly port: PortSuite["port"];
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it was skipped or failed. */
  readonly reason?: string;
  readonly ms: number;
}

export interface VerifyEngineOptions {
  /** Only this port. */
  readonly port?: string | undefined;
  /** Only cases whose name contains this. */
  readonly only?: string | undefined;
  /** Default 60,000. */
  readonly caseTimeoutMs?: number;
  /** Called after each case. */
  readonly onCase?: (result: CaseResult) => void;
  readonly clock?: Clock;
}

/** `url` is an engine's, or `memory` for the reference drivers. StartError for one that nobody serves. */
export async function verifyEngine(url: string, options: VerifyEngineOptions = {}): Promise<EngineReport> {
  const { clock = systemClock, only = "", caseTimeoutMs = 60_000, onCase } = options;
  const bench = await benchOf(url, clock);
  const ports = bench.suites.filter(({ port }) => options.port === undefined || port === options.port);
  if (ports.length === 0) throw noPort(bench, options.port);
  const chosen = ports.map((suite) => ({ suite, cases: suite.cases.filter(({ name }) => name.includes(only)) }));
  if (chosen.every(({ cases }) => cases.length === 0))
    throw new StartError(
      "VERIFY_NOTHING",
      `--only: no case of ${bench.engine} has "${only}" in its name; leave it out to see all.`,
    );
  const { settings, guarantee } = await bench.judge();
  const results: CaseResult[] = [];
  for (const { suite, cases } of chosen) {
    if (cases.length === 0) continue;
    await suite.open();
    try {
      for (const each of cases) {
        const result = await runCase(suite.port, each, clock, caseTimeoutMs);
        results.push(result);
        onCase?.(result);
      }
    } finally {
      await suite.close();
    }
  }
  return { engine: bench.engine, guarantee, settings, cases: results };
}

async function runCase(
  port: PortSuite["port"],
  { name, skip, run }: PortCase,
  clock: Clock,
  timeoutMs: number,
): Promise<CaseResult> {
  if (skip !== undefined) return { port, name, outcome: "skipped", reason: skip, ms: 0 };
  const startedAt = clock.now();
  let cancel = (): void => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(timeoutMs, () => reject(new Error(`it took more than ${timeoutMs} ms`)));
  });
  try {
    await Promise.race([run(), late]);
    return { port, name, outcome: "passed", ms: Math.round(clock.now() - startedAt) };
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    return { port, name, outcome: "failed", reason, ms: Math.round(clock.now() - startedAt) };
  } finally {
    cancel();
  }
}

/** An engine, ready to be tried. */
interface Bench {
  readonly engine: string;
  readonly suites: readonly PortSuite[];
  judge(): Promise<{ readonly settings: readonly EngineSetting[]; readonly guarantee: string }>;
}

async function benchOf(text: string, clock: Clock): Promise<Bench> {
  if (text === "memory") {
    const guarantee = "nothing: it is gone with the process";
    return {
      engine: "memory",
      suites: [memoryBrokerPort(), memoryCachePort(), memoryLimiterPort()],
      judge: async () => ({ settings: [], guarantee }),
    };
  }
  const { engine, url } = await engineOf(text);
  const { database, cache, limiter } = engine.ports;
  const suites: PortSuite[] = [];
  if (database)
    suites.push(
      databasePort(() => database(url)),
      databaseBrokerPort(() => database(url)),
    );
  if (cache) suites.push(cachePort(() => cache(url)));
  if (limiter) suites.push(limiterPort(() => limiter(url)));
  return {
    engine: engine.name,
    suites,
    judge: () => (database ? judgeDatabase(engine.name, database(url)) : judgeCache(url, clock)),
  };
}

async function judgeDatabase(engine: string, driver: DatabaseDriver): ReturnType<Bench["judge"]> {
  await driver.open();
  try {
    const settings = engine === "postgres" ? await postgresSettings(driver) : [];
    const isWrong = settings.some(({ verdict }) => verdict === "wrong");
    const { durability } = driver.flags;
    const survives = {
      "power-loss": "an acknowledged commit survives the loss of power",
      "process-crash": "an acknowledged commit survives the end of the process, not the loss of power",
      none: "nothing: it is gone with the process",
    };
    const guarantee = isWrong ? "lowered: see the settings marked wrong" : survives[durability];
    return { settings, guarantee };
  } finally {
    await driver.close();
  }
}

async function judgeCache(url: URL, clock: Clock): ReturnType<Bench["judge"]> {
  return {
    settings: await redisSettings(url, clock),
    guarantee:
      "none needed: a cache may lose every entry, and serves none that was invalidated; limits that are lost begin anew",
  };
}

async function engineOf(text: string): Promise<{ readonly engine: Engine; readonly url: URL }> {
  const known = Object.keys(engineOfScheme).map((scheme) => `${scheme}:`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const name = url && engineOfScheme[url.protocol.slice(0, -1)];
  if (!url || !name) {
    throw new StartError(
      "VERIFY_ENGINE_UNKNOWN",
      `URL: no engine serves this; write memory, or an address that begins with ${known.join(", ")}.`,
    );
  }
  return { engine: (await engines[name]()).default, url };
}

function noPort({ engine, suites }: Bench, port: string | undefined): StartError {
  const names = suites.map((suite) => suite.port).join(", ");
  return new StartError("VERIFY_PORT_UNKNOWN", `--port: ${engine} serves no ${port}; it has ${names}.`);
}

/** Every case of every port by name, without an engine: what a record of results must hold. */
export function caseNames(): Readonly<Record<PortSuite["port"], readonly string[]>> {
  const driver = { flags: {} } as DatabaseDriver;
  return {
    database: databasePort(() => driver).cases.map(({ name }) => name),
    broker: memoryBrokerPort().cases.map(({ name }) => name),
    cache: memoryCachePort().cases.map(({ name }) => name),
    limiter: memoryLimiterPort().cases.map(({ name }) => name),
  };
}
