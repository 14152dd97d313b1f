import { StartError } from "../base/index.ts";
import { migrateEvents } from "../events/index.ts";
import type { Move, Mover, PlannedMove, ShardsStatus } from "../shards/index.ts";
import {
  createMover,
  migrateShards,
  parseBuckets,
  planRebalance,
  readBuckets,
  shardsStatus,
  showBuckets,
} from "../shards/index.ts";
import type { ShardedService } from "./shard-stores.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export interface ShardFlags {
  readonly buckets: string | undefined;
  readonly to: string | undefined;
  readonly plan: boolean;
  readonly json: boolean;
  readonly rate: number | undefined;
}

/** What `plinth shards TOPIC` does for one service. Answers whether all went as asked. */
export type ShardAction = (
  service: ShardedService,
  name: string | undefined,
  flags: ShardFlags,
  terminal: Terminal,
) => Promise<boolean>;

export const shardActions: Readonly<Record<string, ShardAction>> = {
  async status(service, _name, { json }, terminal) {
    await requireDirectory(service);
    const found = await shardsStatus(service);
    if (json) terminal.out.write(`${JSON.stringify(found, null, 2)}\n`);
    else showStatus(found, terminal);
    return found.shards.every(({ problems, isBehind }) => problems.length === 0 && !isBehind);
  },

  async add(service, name, _flags, terminal) {
    if (name === undefined || !service.shards.has(name)) {
      const reason =
        service.unreachable.get(name ?? "") ?? "DATABASE_SHARDS gives it no address; write NAME=postgres://… there";
      throw new StartError("SHARD_NAME_UNKNOWN", `shards add ${name ?? "NAME"}: ${reason}`);
    }
    requireAll(service);
    const { migrations, ...places } = service;
    await migrateShards({ ...places, prepare: migrateEvents, ...(migrations && { migrations }) });
    terminal.err.write(`${name} is ready for ${service.service}; plinth shards rebalance gives it its share\n`);
    return true;
  },

  async move(service, _name, flags, terminal) {
    if (flags.buckets === undefined || flags.to === undefined)
      throw new StartError("SHARD_MOVE_UNCLEAR", "shards move: say what goes where: --buckets 0-511 --to NAME");
    requireAll(service);
    return showMoves(
      await moverOf(service, flags, terminal).move({ buckets: parseBuckets(flags.buckets), to: flags.to }),
      flags,
      terminal,
    );
  },

  async rebalance(service, _name, flags, terminal) {
    await requireDirectory(service);
    requireAll(service);
    const rows = await readBuckets(service.directory, service.service);
    const plan = planRebalance(rows, [...service.shards.keys()]);
    if (flags.plan || plan.length === 0) return showPlan(service, plan, flags, terminal);
    const mover = moverOf(service, flags, terminal);
    const moves: Move[] = [];
    for (const { buckets, to } of plan) moves.push(...(await mover.move({ buckets, to })));
    return showMoves(moves, flags, terminal);
  },

  async resume(service, _name, flags, terminal) {
    await requireDirectory(service);
    const mover = moverOf(service, flags, terminal);
    const moves = await mover.resume();
    const dropped = await mover.expire();
    if (dropped > 0) terminal.err.write(`${service.service}: the archives of ${dropped} moves were dropped\n`);
    return showMoves(moves, flags, terminal);
  },

  async abort(service, id, flags, terminal) {
    if (!/^\d{1,15}$/.test(id ?? ""))
      throw new StartError(
        "SHARD_MOVE_UNCLEAR",
        "shards abort: name the move by its number; plinth shards status shows it",
      );
    const move = await moverOf(service, flags, terminal).abort(Number(id), "given up by hand");
    if (!move) {
      throw new StartError(
        "SHARD_MOVE_ENDED",
        `shards abort ${id}: there is no such move of ${service.service} that could still be given up; once it has switched, move back.`,
      );
    }
    showMoves([move], flags, terminal);
    return true;
  },
};

function moverOf(service: ShardedService, { rate, json }: ShardFlags, terminal: Terminal): Mover {
  return createMover({
    ...service,
    ...(rate !== undefined && { rowsPerSecondMax: rate }),
    onProgress({ id, state, buckets, source, target }) {
      if (!json) terminal.err.write(`move ${id}: ${buckets.length} buckets ${source} → ${target}: ${state}\n`);
    },
  });
}

function requireAll({ unreachable }: ShardedService): void {
  if (unreachable.size === 0) return;
  throw new StartError(
    "SHARD_UNREACHABLE",
    [...unreachable].map(([name, why]) => `shard ${name}: ${why}`),
  );
}

async function requireDirectory({ directory, service }: ShardedService): Promise<void> {
  const [found] = await directory.sql<{ there: boolean }>`
    select to_regclass(${`"${directory.schema}".buckets`}) is not null as there`;
  if (found?.there) return;
  throw new StartError(
    "SHARDS_UNPREPARED",
    `${service} was never started with shards: start the app, or plinth shards add main.`,
  );
}

function showStatus({ service, shards, moves }: ShardsStatus, { out, err }: Terminal): void {
  const rows = shards.map(({ name, buckets, migration, isBehind, problems }) => [
    service,
    name,
    String(buckets.length),
    migration === undefined ? "?" : String(migration),
    [...(isBehind ? ["behind the others"] : []), ...problems].join("; ") || "ok",
  ]);
  out.write(table(["SERVICE", "SHARD", "BUCKETS", "MIGRATION", "STATE"], rows, out));
  for (const { id, state, buckets, source, target } of moves)
    err.write(
      `move ${id}: ${buckets.length} buckets ${source} → ${target}: ${state}; plinth shards resume goes on with it\n`,
    );
}

function showPlan(
  { service }: ShardedService,
  plan: readonly PlannedMove[],
  { json }: ShardFlags,
  { out, err }: Terminal,
): boolean {
  if (json) out.write(`${JSON.stringify(plan, null, 2)}\n`);
  else if (plan.length === 0) err.write(`${service}: every shard has its share\n`);
  else {
    const rows = plan.map(({ from, to, buckets }) => [service, from, to, String(buckets.length), showBuckets(buckets)]);
    out.write(table(["SERVICE", "FROM", "TO", "COUNT", "BUCKETS"], rows, out));
  }
  return true;
}

function showMoves(moves: readonly Move[], { json }: ShardFlags, { out, err }: Terminal): boolean {
  if (json) out.write(`${JSON.stringify(moves, null, 2)}\n`);
  else if (moves.length === 0) err.write("nothing to move\n");
  else {
    const rows = moves.map(({ id, buckets, source, target, state, rowsCopied, pauseMs, note }) => [
      String(id),
      `${source} → ${target}`,
      String(buckets.length),
      String(rowsCopied),
      pauseMs === null ? "" : `${Math.round(pauseMs)} ms`,
      note === null ? state : `${state}: ${note}`,
    ]);
    out.write(table(["MOVE", "FROM → TO", "BUCKETS", "ROWS", "PAUSE", "STATE"], rows, out));
  }
  return moves.every(({ state }) => state === "DONE");
}
