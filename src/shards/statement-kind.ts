/** What a routed session must know of a statement: whether it begins or ends a transaction, only reads, or may write. */
export type StatementKind = "begin" | "end" | "read" | "setting" | "write";

const skipped = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|\()+/;
const kinds: Readonly<Record<string, StatementKind>> = {
  begin: "begin",
  start: "begin",
  commit: "end",
  end: "end",
  abort: "end",
  rollback: "end",
  select: "read",
  values: "read",
  table: "read",
  show: "setting",
  set: "setting",
  reset: "setting",
  discard: "setting",
  listen: "setting",
  unlisten: "setting",
};

/**
 * By the first word. What is not known for a read counts as a write, which is right for both and costs more: `with`
 * and `explain analyze` may do either.
 */
export function kindOf(text: string): StatementKind {
  const rest = text.replace(skipped, "");
  const word = /^[a-z]+/i.exec(rest)?.[0].toLowerCase() ?? "";
  if (word === "rollback" && /^rollback\s+(?:work\s+|transaction\s+)?to\b/i.test(rest)) return "write";
  return kinds[word] ?? "write";
}
