/**
 * Splits SQL text at the semicolons that end statements: not those in quotes, dollar quotes, comments or bodies of
 * `begin atomic … end`. Knows PostgreSQL's lexical rules (documentation, 4.1), nothing of its grammar. Comments stay
 * with the statement that follows them; a piece with nothing but comments is left out.
 */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let start = 0;
  let hasCode = false;
  let atomicDepth = 0;
  const token = new RegExp(tokenPattern.source, "giy");
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found] = match;
    if (found.startsWith("--") || /^\s/.test(found)) continue;
    if (found.startsWith("/*")) {
      token.lastIndex = endOfComment(text, match.index);
      continue;
    }
    if (found === ";" && atomicDepth === 0) {
      if (hasCode) statements.push(text.slice(start, match.index).trim());
      start = token.lastIndex;
      hasCode = false;
      continue;
    }
    hasCode = true;
    const word = found.toLowerCase();
    if (/^begin\s+atomic$/.test(word)) atomicDepth++;
    else if (atomicDepth > 0 && word === "case") atomicDepth++;
    else if (atomicDepth > 0 && word === "end") atomicDepth--;
  }
  if (hasCode) statements.push(text.slice(start).trim());
  return statements;
}

/** One lexical piece at a time: comment, quoted text, dollar-quoted text, `begin atomic`, word, or any one character. */
const tokenPattern = new RegExp(
  [
    String.raw`--[^\n]*`,
    String.raw`/\*`,
    String.raw`\s+`,
    String.raw`e'(?:[^'\\]|\\[\s\S]|'')*'?`,
    `'(?:[^']|'')*'?`,
    `"(?:[^"]|"")*"?`,
    String.raw`(\$(?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)[\s\S]*?(?:\1|$)`,
    String.raw`begin\s+atomic\b`,
    String.raw`[a-z_\u0080-\uffff][\w$\u0080-\uffff]*`,
    String.raw`[\s\S]`,
  ].join("|"),
);

/** Block comments nest in PostgreSQL. */
function endOfComment(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const two = text.slice(at, at + 2);
    if (two === "/*") {
      depth++;
      at++;
    } else if (two === "*/") {
      depth--;
      at++;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}

/** The statement without the comments before it, for looking at its first words. */
export function withoutLeadingComments(statement: string): string {
  let at = 0;
  for (;;) {
    const rest = statement.slice(at);
    const skip = /^(?:\s+|--[^\n]*(?:\n|$))/.exec(rest)?.[0].length ?? 0;
    if (skip > 0) at += skip;
    else if (rest.startsWith("/*")) at = endOfComment(statement, at);
    else return rest;
  }
}

/** Whether a statement opens or ends a transaction. */
export function isTransactionControl(statement: string): boolean {
  return /^(?:begin|commit|rollback|abort|end|start\s+transaction|prepare\s+transaction)\b(?!\s+to\b)/i.test(
    withoutLeadingComments(statement),
  );
}
