import type { Verdict } from "./verdict.ts";
import { createVerdict } from "./verdict.ts";

export interface BankOptions {
  /** What all accounts hold together, always. */
  readonly total: bigint;
  /** Each read sees all accounts at one moment. */
  readonly reads: readonly Readonly<Record<string, bigint>>[];
  /** Default false. */
  readonly mayBeNegative?: boolean;
}

/** Nothing is made or lost by moving it: the total is the same in every read. Findings: `total`, `negative`, `accounts`. */
export function checkBank({ total, reads, mayBeNegative = false }: BankOptions): Verdict {
  const verdict = createVerdict("bank");
  const accounts = Object.keys(reads[0] ?? {})
    .sort()
    .join(" ");
  for (const [i, read] of reads.entries()) {
    const sum = Object.values(read).reduce((whole, part) => whole + part, 0n);
    if (sum !== total) verdict.find("total", `read ${i}`, `the accounts hold ${sum} together, not ${total}`);
    if (Object.keys(read).sort().join(" ") !== accounts)
      verdict.find("accounts", `read ${i}`, "it sees other accounts");
    for (const [account, balance] of Object.entries(read)) {
      if (balance < 0n && !mayBeNegative) verdict.find("negative", account, `it holds ${balance} in read ${i}`);
    }
  }
  verdict.count("reads", reads.length);
  if (reads.length === 0) verdict.doubt("nothing was read");
  else if (accounts === "") verdict.doubt("no account was seen");
  return verdict.end();
}
