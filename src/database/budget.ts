import { StartError } from "../base/index.ts";
import type { Database } from "./database.ts";

/**
 * Whether all processes together may open more connections than the server takes. Found out at start, since at run time
 * it shows as `DATABASE_EXHAUSTED` in whichever process grows last.
 *
 * The sum is of limits, not of what is open: `poolSize` of a process times how many of its kind run. It is compared with
 * `max_connections` minus what the server keeps for superusers and reserved roles. A rolling deploy runs one more process of
 * each group for a moment: where there is no room for that, it warns.
 *
 * **Not counted**: other programs on the same server, which is what `others` is for. Replicas and further shards are servers
 * of their own: each is checked with the pools that it has, and where two of them are databases of one server, their pools
 * add up.
 */
export interface PoolBudget {
  /** Who has it: a placement group, "orders". */
  readonly name: string;
  /** Connections at most, of one process. */
  readonly poolSize: number;
  readonly processes: number;
}

export interface BudgetOptions {
  readonly database: Database;
  readonly pools: readonly PoolBudget[];
  /** Connections that other programs need, people with psql among them. Default 0. */
  readonly others?: number;
  /** Called when 80 % or more are planned for, or a rolling deploy has no room. Default: a process warning. */
  readonly onWarning?: (text: string) => void;
}

/** What was found. `checked` false comes with the reason. */
export type ConnectionBudget =
  | { readonly checked: true; readonly needed: number; readonly available: number }
  | { readonly checked: false; readonly reason: string };

const warnShare = 0.8;

/** StartError `CONNECTION_BUDGET` with the sum and the remedy when the server has not enough. */
export async function checkConnectionBudget(options: BudgetOptions): Promise<ConnectionBudget> {
  const { database, pools, others = 0, onWarning = warn } = options;
  if (!database.flags.multipleProcesses) return { checked: false, reason: "the embedded engine has one session" };
  if (database.flags.pooled) {
    const reason = "a pooler stands between: its max_client_conn and default_pool_size are the limits";
    return { checked: false, reason };
  }
  const [found] = await database.sql<{ most: number; kept: number }>`
    select max(setting::int) filter (where name = 'max_connections') as most,
      coalesce(sum(setting::int) filter (where name in ('superuser_reserved_connections', 'reserved_connections')), 0)::int as kept
    from pg_settings`;
  const { most, kept } = found as { most: number; kept: number };
  const needed = pools.reduce((sum, { poolSize, processes }) => sum + poolSize * processes, others);
  const available = most - kept;
  const sum = `${sumText(pools, others)} = ${needed} connections; the server takes ${most} - ${kept} reserved = ${available}`;
  const remedy =
    "Lower pool_size in DATABASE_URL, run fewer processes, raise max_connections (and restart the server), or put PgBouncer between: ?pooler=transaction";
  if (needed > available) throw new StartError("CONNECTION_BUDGET", `connections to the database: ${sum}. ${remedy}`);
  const surge = pools.reduce((more, { poolSize }) => more + poolSize, 0);
  if (needed + surge > available) {
    const more = `one more process of each group, as in a rolling deploy, may open ${surge} more`;
    onWarning(`connections to the database: ${sum}; ${more}, which is too many. ${remedy}`);
  } else if (needed >= available * warnShare) {
    onWarning(`connections to the database: ${sum}, which leaves little. ${remedy}`);
  }
  return { checked: true, needed, available };
}

function sumText(pools: readonly PoolBudget[], others: number): string {
  const parts = pools.map(({ name, poolSize, processes }) => `${name} ${processes} × ${poolSize}`);
  return [...parts, ...(others > 0 ? [`others ${others}`] : [])].join(" + ");
}

function warn(text: string): void {
  process.emitWarning(text, { code: "PLINTH_CONNECTION_BUDGET" });
}
