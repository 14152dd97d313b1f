import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { setScript } from "../../src/engines/redis/scripts.ts";
import type { CacheSample, FaultProxy, Verdict } from "../../src/verify/index.ts";
import { checkCache, spawnFaultProxy } from "../../src/verify/index.ts";
import type { Shown } from "../proof.ts";
import type { KeeperMessage, KeeperOptions, Rested } from "./keeper.ts";
import type { Stage } from "./stage.ts";

const script = fileURLToPath(new URL("./keeper.ts", import.meta.url));
const execArgv = ["--conditions=plinth:source", "--import", "tsx"];
const processes = 3;
const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`);
/** How long a delayed fill is on its way, and how often one is. */
const delayMs = 120;
const delayEveryMs = 40;
const quietMs = 5_000;

/** Processes that read and write the same rows, while stores into the cache come late: what is left when all is quiet. */
export async function showAgreement(stage: Stage, smoke: boolean): Promise<Shown> {
  const { port } = stage.redis;
  const proxy = await spawnFaultProxy({ target: { host: "127.0.0.1", port }, protocol: "redis" });
  try {
    const seconds = smoke ? 4 : 30;
    const whole = await runKeepers(stage, proxy, { namespace: "agreement", fillWithoutLease: false, seconds });
    const mutant = await runKeepers(stage, proxy, { namespace: "mutant", fillWithoutLease: true, seconds: 4 });
    const mismatches = (verdict: Verdict): number => verdict.counts.mismatch ?? 0;
    const { samples = 0, hits = 0 } = whole.verdict.counts;
    const rested = whole.rested;
    const sum = (name: "writes" | "reads" | "loads" | "refused"): number =>
      rested.reduce((all, each) => all + each[name], 0);
    const error = rested.flatMap(({ errors }) => errors)[0];
    return {
      claims: [
        {
          claim: `what ${processes} processes hold in the cache ${quietMs / 1000} s after the last write, and is not what the database has (checkCache)`,
          seen: `${mismatches(whole.verdict)} of ${hits} (${samples} looked at)`,
          holds: whole.verdict.valid === true && error === undefined,
        },
        {
          claim: "fills were delayed, and some came too late to be stored",
          seen: `${whole.delayed} delayed by ${delayMs} ms, ${sum("refused")} refused`,
          holds: whole.delayed > 0 && sum("refused") > 0,
        },
        {
          claim: "where fills are stored without a lease, cache and database disagree (mutant)",
          seen: `${mismatches(mutant.verdict)} of ${mutant.verdict.counts.hits ?? 0}`,
          holds: mutant.verdict.valid === false,
        },
      ],
      facts: {
        "writes while reading": sum("writes"),
        "reads while writing": sum("reads"),
        loads: sum("loads"),
        ...(error !== undefined && { "first error of a keeper": error }),
      },
    };
  } finally {
    await proxy.close();
  }
}

interface RunOptions extends Pick<KeeperOptions, "namespace" | "fillWithoutLease"> {
  readonly seconds: number;
}

interface Ran {
  readonly verdict: Verdict;
  readonly rested: readonly Rested[];
  /** Fills that the proxy held up. */
  readonly delayed: number;
}

async function runKeepers(stage: Stage, proxy: FaultProxy, { seconds, ...options }: RunOptions): Promise<Ran> {
  const { postgres, redis } = stage;
  await postgres.adminQuery(
    `drop table if exists truth; create table truth (key text primary key, version int not null default 0);
     insert into truth select unnest('{${keys.join(",")}}'::text[])`,
  );
  const given = { databaseUrl: postgres.url.href, cacheUrl: proxy.address(redis.url.href), keys, ...options };
  const children = Array.from({ length: processes }, () => fork(script, [JSON.stringify(given)], { execArgv }));
  try {
    await Promise.all(children.map((child) => heard(child, (message) => message === "ready" || undefined)));
    const hitsBefore = (await proxy.hits()).length;
    const resting = children.map((child) => heard(child, restedOf));
    for (const child of children) child.send("go");
    const endAt = performance.now() + seconds * 1000;
    while (performance.now() < endAt) {
      await proxy.plan({ name: "fill", match: `^EVALSHA ${setScript.digest}`, action: "delay-request", delayMs });
      await sleep(delayEveryMs);
    }
    for (const child of children) child.send("rest");
    const rested = await Promise.all(resting);
    // Counted from the last read, so from later than the last write.
    const lastWriteAt = performance.now();
    await sleep(quietMs);
    const sampling = children.map((child) => heard(child, sampledOf));
    for (const child of children) child.send("sample");
    const held = await Promise.all(sampling);
    const rows = await postgres.adminQuery<{ key: string; version: number }>("select key, version from truth");
    const samples: CacheSample[] = held.flatMap((cached) =>
      rows.map(({ key, version }) => ({
        key,
        cached: cached[key],
        stored: String(version),
        quietMs: performance.now() - lastWriteAt,
      })),
    );
    const delayed = (await proxy.hits()).length - hitsBefore;
    await proxy.clear();
    return { verdict: checkCache({ samples, quietMsMin: quietMs }), rested, delayed };
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}

const restedOf = (message: KeeperMessage): Rested | undefined =>
  typeof message === "object" && "rested" in message ? message.rested : undefined;

const sampledOf = (message: KeeperMessage): Readonly<Record<string, string>> | undefined =>
  typeof message === "object" && "sampled" in message ? message.sampled : undefined;

/** The first message that says something, or an error when the process ends before. */
async function heard<T>(child: ChildProcess, pick: (message: KeeperMessage) => T | undefined): Promise<T> {
  const end = new AbortController();
  try {
    return await Promise.race([
      new Promise<T>((resolve) => {
        child.on("message", (message) => {
          const found = pick(message as KeeperMessage);
          if (found !== undefined) resolve(found);
        });
      }),
      once(child, "exit", { signal: end.signal }).then(() => {
        throw new Error("a keeper ended by itself");
      }),
    ]);
  } finally {
    end.abort();
  }
}
