import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import { startPostgres } from "../../src/engines/postgres/server.fixture.ts";
import type { Fleet } from "../fleet.ts";
import { startFleet } from "../fleet.ts";
import type { Claim, Proof, Shown } from "../proof.ts";
import { none } from "../proof.ts";
import { staleness } from "./app.ts";
import type { CallersOptions, Record, SeenRead } from "./callers.ts";
import { runCallers } from "./callers.ts";

const appFile = fileURLToPath(new URL("./app.ts", import.meta.url));
const lagMs = 2_000;
const stalenessMs = Number.parseInt(staleness, 10) * 1_000;

/** Reads on a replica that is two seconds behind, by those who have just written. */
export const replica: Proof = {
  title: "Reading one's own writes beside a replica that lags",
  how:
    `A Postgres server, a streaming replica that applies everything ${lagMs / 1000} s late, and an app in three processes: ` +
    "the gateway with a service in front, and twice the service that owns the table. Callers write and read at once, over " +
    "HTTP with the `Plinth-Position` that they were told, and within one call over RPC, where write and read reach " +
    `different processes. All reads go through \`db.read({ staleness: "${staleness}" })\` and say which server answered. ` +
    "Meanwhile the replica is stopped as by a crash and started again. The control is the same callers without the header.",
  async run({ smoke, say }): Promise<Shown> {
    const primary = await startPostgres();
    const other = await startPostgres({
      replicaOf: primary,
      settings: { recovery_min_apply_delay: `${lagMs}ms` },
    }).catch(async (thrown: unknown) => {
      await primary.dispose();
      throw thrown;
    });
    let fleet: Fleet | undefined;
    try {
      fleet = await startFleet({
        appFile,
        groups: { store: 2, edge: 1 },
        edge: "edge",
        environment: {
          DATABASE_URL: primary.url.href,
          DATABASE_REPLICA_URLS: other.url.href,
          PLINTH_LOG: "warn",
        },
      });
      const url = fleet.urls[0] as string;
      return await show({ url, other, wanted: smoke ? 100 : 2_000, say });
    } finally {
      await fleet?.dispose();
      await other.dispose();
      await primary.dispose();
    }
  },
};

interface Stage {
  readonly url: string;
  readonly other: TestPostgres;
  /** Reads after an own write, over HTTP and over RPC each. */
  readonly wanted: number;
  say(text: string): void;
}

async function show({ url, other, wanted, say }: Stage): Promise<Shown> {
  const common = { url, count: 4, patienceMs: lagMs + 600, stalenessMs };
  await other.caughtUp();
  const controlEndsAt = performance.now() + 2_000;
  const control = await runCallers({
    ...common,
    carries: false,
    prefix: "control",
    goesOn: () => performance.now() < controlEndsAt,
  });
  say(`without the position: ${staleOf(control.reads, "http").length} stale reads`);

  const phases = { stoppedAt: 0, startedAt: 0, isOver: false };
  const counts = { http: 0, rpc: 0 };
  const running = runCallers({
    ...common,
    carries: true,
    prefix: "own",
    goesOn: () => !phases.isOver || counts.http < wanted || counts.rpc < wanted,
    onRead: (over) => {
      if (over === "http" || over === "rpc") counts[over]++;
    },
  } satisfies CallersOptions);
  await sleep(lagMs * 2);
  phases.stoppedAt = performance.now();
  await other.stop("immediate");
  say("the replica is gone");
  await sleep(lagMs);
  await other.start();
  phases.startedAt = performance.now();
  say("the replica is back");
  // It has to catch up, and whoever put it aside has to ask again, which takes up to 15 s.
  await sleep(20_000);
  phases.isOver = true;
  const record = await running;
  return judge(record, control, phases, wanted);
}

interface Phases {
  readonly stoppedAt: number;
  readonly startedAt: number;
}

function judge(record: Record, control: Record, { stoppedAt, startedAt }: Phases, wanted: number): Shown {
  const { reads, errors } = record;
  const of = (over: SeenRead["over"]) => reads.filter((read) => read.over === over);
  const served = (from: number, to: number) =>
    reads.filter(({ fromReplica, at }) => fromReplica && at >= from && at < to).length;
  const own = (over: "http" | "rpc", name: string): Claim => ({
    claim: `reads over ${name} that miss the caller's own write just before`,
    seen: `${staleOf(reads, over).length} of ${of(over).length}`,
    holds: staleOf(reads, over).length === 0 && of(over).length >= wanted,
  });
  const laterServed = of("later").filter(({ fromReplica }) => fromReplica);
  const controlStale = staleOf(control.reads, "http").length;
  return {
    claims: [
      own("http", "HTTP"),
      own("rpc", "RPC"),
      {
        claim: "of these, written in one process and read in another",
        seen: `${of("http").filter(isApart).length} over HTTP, ${of("rpc").filter(isApart).length} over RPC`,
        holds: of("http").some(isApart) && of("rpc").some(isApart),
      },
      {
        claim: `own writes read ${(lagMs + 600) / 1000} s later: by the replica, and none missing`,
        seen: `${laterServed.length} of ${of("later").length} by the replica, ${staleOf(reads, "later").length} missing`,
        holds: laterServed.length > 0 && staleOf(reads, "later").length === 0,
      },
      {
        claim: `reads of others' writes older than their bound of ${staleness}`,
        seen: `${staleOf(reads, "visit").length} of ${of("visit").length}`,
        holds: staleOf(reads, "visit").length === 0 && of("visit").length > 0,
      },
      {
        claim: "the replica answered before it was stopped, and again after its start",
        seen: `${served(0, stoppedAt)} reads before, ${served(startedAt, Number.POSITIVE_INFINITY)} after`,
        holds: served(0, stoppedAt) > 0 && served(startedAt, Number.POSITIVE_INFINITY) > 0,
      },
      none("errors that callers saw", errors.length),
      {
        claim: "without carrying the position, own writes are missed (control)",
        seen: `${controlStale} of ${control.reads.filter(({ over }) => over === "http").length}`,
        holds: controlStale > 0,
      },
    ],
    facts: {
      reads: reads.length,
      "by the replica": served(0, Number.POSITIVE_INFINITY),
      "lag in ms": lagMs,
      "away for ms": Math.round(startedAt - stoppedAt),
      "back in use after ms": Math.round(firstServedAfter(reads, startedAt) - startedAt),
      ...(errors.length > 0 && { "first error": String(errors[0]) }),
    },
  };
}

function staleOf(reads: readonly SeenRead[], kind: SeenRead["over"]): readonly SeenRead[] {
  return reads.filter(({ over, version, expected }) => over === kind && version < expected);
}

function isApart(read: SeenRead): boolean {
  return read.isApart;
}

function firstServedAfter(reads: readonly SeenRead[], time: number): number {
  return Math.min(...reads.filter(({ fromReplica, at }) => fromReplica && at >= time).map(({ at }) => at));
}
