import type { Duration } from "../base/index.ts";
import { parseDuration, StartError } from "../base/index.ts";
import type { Every } from "./partition-period.ts";
import { parseEvery } from "./partition-period.ts";

/** How a table is parted: what `partition.ts` makes so. */
export type Partitioning =
  | {
      /** The column of time: timestamptz, timestamp or date. */
      readonly range: string;
      /** How long one partition lasts: "1 hour", "1 day", "1 week", "3 months". */
      readonly every: string;
      /** Partitions made ahead of now. Default 7. */
      readonly ahead?: number;
      /** How long rows are kept at least. Absent: for ever. */
      readonly keep?: Duration;
    }
  | { readonly hash: string; readonly parts: number };

/** By table. */
export type PartitionDeclarations = Readonly<Record<string, Partitioning>>;

export type CheckedPartitioning =
  | {
      readonly kind: "range";
      readonly column: string;
      readonly every: Every;
      readonly ahead: number;
      readonly keepMs: number;
    }
  | { readonly kind: "hash"; readonly column: string; readonly parts: number };

const partitionsMax = 1_000;
/** What is put behind a table's name, with its underscore. */
const suffixLength = 12;

/** The declarations, read. StartError names each that is wrong. */
export function checkPartitions(declarations: PartitionDeclarations): ReadonlyMap<string, CheckedPartitioning> {
  return new Map(Object.entries(declarations).map(([table, partitioning]) => [table, check(table, partitioning)]));
}

function check(table: string, given: Partitioning): CheckedPartitioning {
  const where = `partitions of ${table}`;
  const refuse = (problem: string): never => {
    throw new StartError("PARTITION_DECLARATION", `${where}: ${problem}`);
  };
  if (Buffer.byteLength(table) > 63 - suffixLength)
    refuse(`the table's name leaves no room: at most ${63 - suffixLength} bytes`);
  if ("hash" in given) {
    const { hash: column, parts } = given;
    if (!Number.isInteger(parts) || parts < 2 || parts > partitionsMax)
      refuse(`parts is ${parts}: 2 to ${partitionsMax}`);
    return { kind: "hash", column, parts };
  }
  const { range: column, ahead = 7, keep } = given;
  const every = parseEvery(given.every, where);
  if (!Number.isInteger(ahead) || ahead < 1 || ahead > partitionsMax)
    refuse(`ahead is ${ahead}: 1 to ${partitionsMax}`);
  const keepMs = keep === undefined ? Number.POSITIVE_INFINITY : (parseDuration(keep) ?? 0);
  if (keepMs <= 0) refuse(`keep is ${JSON.stringify(keep)}: write a duration, as in "90d"`);
  return { kind: "range", column, every, ahead, keepMs };
}
