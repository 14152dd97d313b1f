import type { Operation, Verdict } from "../../src/verify/index.ts";
import { checkOrder, checkPlacement, checkSet } from "../../src/verify/index.ts";
import type { Evidence } from "./evidence.ts";
import { nameOf } from "./evidence.ts";

/** What the checkers say of a run. */
export interface Judgement {
  /** Every row that was acknowledged is there. */
  readonly set: Verdict;
  /** Each is on one shard, the one that the directory names. */
  readonly placement: Verdict;
  /** The versions of each key: 1, 2, 3 … */
  readonly versions: Verdict;
  /** The events of each key took effect in their order. */
  readonly events: Verdict;
  /** Events whose number is not the version that was written with it. */
  readonly mismatched: number;
  /** Names that two have, and acknowledged claims that are not there. */
  readonly claimsWrong: number;
  /** Reads, and rows of scatters, that were behind what was acknowledged before they began. */
  readonly readsBehind: number;
  /** Scatters that answered, and lacked a key or had one twice. */
  readonly scattersHoled: number;
  readonly counts: Readonly<Record<"writes" | "reads" | "scatters" | "claims" | "refused" | "unknown", number>>;
}

export function judge(
  operations: readonly Operation[],
  evidence: Evidence,
  keys: readonly string[],
  notesEach: number,
): Judgement {
  const { rows, versions, latest, effects, drawn, homeOf, readAt } = evidence;
  const ok = (action: string) => operations.filter((each) => each.action === action && each.outcome === "ok");
  const written = writtenRows(operations, keys, notesEach);
  const elements = Object.values(rows).flat();
  const onVersions = versions.map((each) => ({ subscription: "versions", ...each }));
  const onEffects = effects.map(({ key, sequence }) => ({ subscription: "reader", key, sequence }));
  const tries = operations.filter(({ action }) => action !== "load");
  return {
    set: checkSet({
      adds: written.map(({ key, outcome, endedAt }) => ({ element: key, outcome, endedAt })),
      reads: [{ beganAt: readAt, elements }],
    }),
    placement: checkPlacement({ writes: written, shards: rows, homeOf }),
    versions: checkOrder({ effects: onVersions, published: latest, subscriptions: ["versions"] }),
    events: checkOrder({ effects: onEffects, published: drawn, subscriptions: ["reader"] }),
    mismatched:
      effects.filter(({ sequence, version }) => sequence !== version).length +
      Object.entries(latest).filter(([key, version]) => drawn[key] !== version).length,
    claimsWrong: wrongClaims(ok("claim"), elements),
    readsBehind: behind(operations),
    scattersHoled: ok("scatter").filter(({ result }) => {
      const { versions: seen, rows: count } = result as unknown as Scattered;
      return count !== keys.length || keys.some((key) => !(key in seen));
    }).length,
    counts: {
      writes: ok("write").length,
      reads: ok("read").length,
      scatters: ok("scatter").length,
      claims: ok("claim").length,
      refused: tries.filter(({ action, outcome }) => action !== "claim" && outcome === "fail").length,
      unknown: tries.filter(({ outcome }) => outcome === "unknown").length,
    },
  };
}

interface Scattered {
  readonly versions: Readonly<Record<string, number>>;
  readonly rows: number;
}

/** Every row that somebody tried to write, with what came of it. */
function writtenRows(operations: readonly Operation[], keys: readonly string[], notesEach: number) {
  const written: { key: string; outcome: Operation["outcome"]; endedAt: number | undefined }[] = [];
  for (const { action, key = "", value, outcome, endedAt } of operations) {
    if (action === "write") written.push({ key: nameOf("entry", key, String(value)), outcome, endedAt });
    if (action === "claim") written.push({ key: nameOf("claim", key, String(value)), outcome, endedAt });
  }
  // The claims of one key for one name: what one attempt was refused, another may have been given.
  const claimed = new Set(
    written.filter(({ key, outcome }) => key.startsWith("claim ") && outcome !== "fail").map(({ key }) => key),
  );
  const sure = written.filter(({ key, outcome }) => outcome !== "fail" || !claimed.has(key));
  const there = { outcome: "ok", endedAt: undefined } as const;
  for (const key of keys) {
    sure.push({ key: nameOf("account", key), ...there }, { key: nameOf("counter", key), ...there });
    for (let n = 1; n <= notesEach; n++) sure.push({ key: nameOf("note", key, String(n)), ...there });
  }
  return sure;
}

function wrongClaims(claims: readonly Operation[], elements: readonly string[]): number {
  const holders = new Map<string, number>();
  for (const element of elements) {
    const [kind, , value = ""] = element.split(" ");
    if (kind === "claim") holders.set(value, (holders.get(value) ?? 0) + 1);
  }
  const there = new Set(elements);
  const lost = claims.filter(({ key = "", value }) => !there.has(nameOf("claim", key, String(value)))).length;
  return lost + [...holders.values()].filter((count) => count !== 1).length;
}

/** Times are of one machine, in whole milliseconds: only what ended in an earlier one came before. */
function behind(operations: readonly Operation[]): number {
  const moments: { at: number; run: () => void }[] = [];
  const least = new Map<string, number>();
  let count = 0;
  for (const { action, key = "", outcome, result, beganAt, endedAt } of operations) {
    if (outcome !== "ok" || endedAt === undefined) continue;
    if (action === "write") {
      const { version } = result as { version: number };
      moments.push({ at: endedAt + 0.5, run: () => void least.set(key, Math.max(least.get(key) ?? 0, version)) });
    }
    const seen =
      action === "read"
        ? { [key]: (result as { version: number }).version }
        : action === "scatter"
          ? (result as unknown as Scattered).versions
          : {};
    moments.push({
      at: beganAt,
      run() {
        for (const [each, version] of Object.entries(seen)) if (version < (least.get(each) ?? 0)) count++;
      },
    });
  }
  for (const { run } of moments.sort((a, b) => a.at - b.at)) run();
  return count;
}

export interface Pauses {
  /** The longest time from the first try of a write to its acknowledgement, in ms. */
  readonly longestMs: number;
  /** The longest that one try took, whatever came of it. */
  readonly longestTryMs: number;
  readonly refused: number;
}

/** What writers noticed between two moments. */
export function pausesIn(operations: readonly Operation[], from: number, until: number): Pauses {
  const own = operations.filter(
    ({ action, beganAt, endedAt }) => action === "write" && beganAt < until && endedAt !== undefined && endedAt >= from,
  );
  const most = (list: readonly number[]) => list.reduce((a, b) => Math.max(a, b), 0);
  return {
    longestMs: most(
      own.flatMap(({ outcome, result }) => (outcome === "ok" ? [(result as { pausedMs: number }).pausedMs] : [])),
    ),
    longestTryMs: most(own.map(({ beganAt, endedAt = beganAt }) => endedAt - beganAt)),
    refused: own.filter(({ outcome }) => outcome === "fail").length,
  };
}
