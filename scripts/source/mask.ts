/**
 * Splits TypeScript text into what runs and what is said about it, without a parser: `code` is the text with the inside
 * of comments, strings and regular expressions blanked, `comments` has only the comments. Both have the length and the
 * line breaks of the text, so that an index in one is an index in the others.
 *
 * Enough for checks on formatted code. Not enough for a compiler: a slash after `)` is always taken for a division, so
 * write `if (x) { /re/… }` with its braces, as the formatter and the linter want it anyway.
 */
export interface Masked {
  readonly code: string;
  readonly comments: string;
}

const cache = new Map<string, Masked>();

export function mask(text: string): Masked {
  let masked = cache.get(text);
  if (!masked) {
    masked = scan(text);
    cache.set(text, masked);
  }
  return masked;
}

const wordBeforeRegex =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|new|else|do|instanceof|await|yield)$/;

function scan(text: string): Masked {
  const code: string[] = [];
  const comments: string[] = [];
  /** Brace depth at which each open `${` of a template ends. */
  const templates: number[] = [];
  let depth = 0;
  let at = 0;

  const take = (end: number, kind: "code" | "comment" | "blank"): void => {
    const part = text.slice(at, end);
    const blank = part.replace(/[^\n]/g, " ");
    code.push(kind === "code" ? part : blank);
    comments.push(kind === "comment" ? part : blank);
    at = end;
  };
  /** Keeps the delimiters visible, so that a check sees that there is a string. */
  const takeQuoted = (end: number): void => {
    take(at + 1, "code");
    if (end - 1 > at) take(end - 1, "blank");
    if (end > at) take(end, "code");
  };
  const takeTemplate = (): void => {
    const end = templateEnd(text, at);
    take(end, "blank");
    if (text[end] === "`") take(end + 1, "code");
    else if (end < text.length) {
      take(end + 2, "code");
      templates.push(depth++);
    }
  };

  while (at < text.length) {
    const char = text[at] as string;
    if (char === "/" && text[at + 1] === "/") take(lineEnd(text, at), "comment");
    else if (char === "/" && text[at + 1] === "*") take(after(text, "*/", at + 2), "comment");
    else if (char === '"' || char === "'") takeQuoted(quoteEnd(text, at));
    else if (char === "`") {
      take(at + 1, "code");
      takeTemplate();
    } else if (char === "/" && startsRegex(code)) takeQuoted(regexEnd(text, at));
    else if (char === "}" && templates.at(-1) === depth - 1) {
      depth = templates.pop() as number;
      take(at + 1, "code");
      takeTemplate();
    } else {
      if (char === "{") depth++;
      if (char === "}") depth--;
      take(at + 1, "code");
    }
  }
  return { code: code.join(""), comments: comments.join("") };
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}

function after(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from);
  return end === -1 ? text.length : end + mark.length;
}

function quoteEnd(text: string, start: number): number {
  const quote = text[start];
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === quote || text[i] === "\n") return i + 1;
  }
  return text.length;
}

/** The index of the closing backtick or of the next `${`. */
function templateEnd(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "`" || (text[i] === "$" && text[i + 1] === "{")) return i;
  }
  return text.length;
}

function regexEnd(text: string, start: number): number {
  let inClass = false;
  for (let i = start + 1; i < text.length; i++) {
    const char = text[i];
    if (char === "\\") i++;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if ((char === "/" && !inClass) || char === "\n") return i + 1;
  }
  return text.length;
}

function startsRegex(code: readonly string[]): boolean {
  const before = code.slice(-64).join("").trimEnd();
  return before === "" || /[(,=:[!&|?{};+\-*%<>~^}]$/.test(before) || wordBeforeRegex.test(before);
}
