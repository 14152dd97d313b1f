import { lineOf } from "../source/imports.ts";
import { mask } from "../source/mask.ts";
import { isProduct, roomOf } from "../source/rooms.ts";
import type { Tree } from "../source/tree.ts";

/** One place where the product raises an error with a reason. */
export interface RaisedReason {
  readonly reason: string;
  /** One of the sixteen codes; `start` for a StartError; undefined where the text does not show it. */
  readonly code: string | undefined;
  readonly message: string | undefined;
  readonly room: string;
  readonly path: string;
  readonly line: number;
}

/** Reads `reason: "UPPER_SNAKE"` and `StartError("UPPER_SNAKE", …)`, with the code and the message written around it. */
export function raisedReasons(tree: Tree): RaisedReason[] {
  const found: RaisedReason[] = [];
  for (const [path, text] of tree) {
    const room = isProduct(path) ? roomOf(path) : undefined;
    if (room)
      for (const { at, ...raised } of reasonsIn(text)) found.push({ ...raised, room, path, line: lineOf(text, at) });
  }
  return found;
}

type Raised = Pick<RaisedReason, "reason" | "code" | "message"> & { at: number };

function reasonsIn(text: string): Raised[] {
  const { code } = mask(text);
  const found: Raised[] = [];
  for (const match of code.matchAll(/\breason:\s*"|\bStartError\(\s*"/g)) {
    const at = match.index;
    const reason = /^[^"]*"([^"\n]*)"/.exec(text.slice(at))?.[1] ?? "";
    if (!/^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*$/.test(reason)) continue;
    if (match[0].startsWith("StartError")) {
      const list = argumentsAt(text, code, at + "StartError".length);
      found.push({ reason, code: "start", message: literal(list[1]), at });
    } else found.push({ reason, ...surroundings(text, code, at), at });
  }
  return found;
}

/** Code and message of the call, or else of the object, that the reason stands in. */
function surroundings(text: string, code: string, at: number): Pick<Raised, "code" | "message"> {
  const object = openingBefore(code, at, "{", "}");
  const own = text.slice(object, closing(code, object));
  const inObject = {
    code: /\bcode:\s*"([a-z_]+)"/.exec(own)?.[1],
    message: literal(/\b(?:message|remedy):\s*([\s\S]*)/.exec(own)?.[1]),
  };
  if (inObject.code || inObject.message) return inObject;
  const open = openingBefore(code, object, "(", ")");
  if (open === -1) return inObject;
  const list = argumentsAt(text, code, open).map(literal);
  return {
    code: list.find((item) => item && /^[a-z_]+$/.test(item)),
    message: list.find((item) => item?.includes(" ")),
  };
}

/** The bracket that is still open at `at`, or -1. */
function openingBefore(code: string, at: number, open: string, close: string): number {
  let depth = 0;
  for (let i = at - 1; i >= 0; i--) {
    if (code[i] === close) depth++;
    else if (code[i] === open && depth-- === 0) return i;
  }
  return -1;
}

const brackets = "([{)]}";

function closing(code: string, open: number): number {
  let depth = 0;
  for (let i = Math.max(open, 0); i < code.length; i++) {
    const kind = brackets.indexOf(code[i] as string);
    if (kind >= 0) depth += kind < 3 ? 1 : -1;
    if (kind >= 3 && depth === 0) return i;
  }
  return code.length;
}

function argumentsAt(text: string, code: string, open: number): string[] {
  const end = closing(code, open);
  const list: string[] = [];
  let depth = 0;
  let start = open + 1;
  for (let i = start; i <= end; i++) {
    const kind = brackets.indexOf(code[i] as string);
    if (i === end || (code[i] === "," && depth === 0)) {
      list.push(text.slice(start, i).trim());
      start = i + 1;
    } else if (kind >= 0) depth += kind < 3 ? 1 : -1;
  }
  return list;
}

/** The text of a string or template at the start of `source`; what is put in at run time becomes `…`. */
function literal(source: string | undefined): string | undefined {
  const match = /^\s*\[?\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/.exec(source ?? "");
  const raw = match?.[1] ?? match?.[2];
  return raw
    ?.replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, "…")
    .replace(/\\(["'`])/g, "$1")
    .replace(/\\n/g, " ");
}

/** `docs/errors.md`: every reason once. */
export function errorsDocText(tree: Tree): string {
  const byReason = new Map<string, RaisedReason[]>();
  for (const raised of raisedReasons(tree))
    byReason.set(raised.reason, [...(byReason.get(raised.reason) ?? []), raised]);
  const rows = [...byReason]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([reason, places]) => {
      const codes = unique(places.map((place) => place.code)).join(", ");
      const rooms = unique(places.map((place) => place.room)).join(", ");
      const message = places.find((place) => place.message)?.message ?? "";
      return `| \`${reason}\` | ${codes} | ${rooms} | ${escapeCell(message)} |`;
    });
  return `# Errors

Every reason that Plinth itself raises. A program switches on the reason; the code says what kind of failure it is
(the sixteen codes of gRPC), and \`start\` marks a wrong definition or setting, which stops the start. \`…\` stands for
what is filled in. Written by \`npm run gen\` from the sources.

| reason | code | room | message |
|---|---|---|---|
${rows.join("\n")}
`;
}

function unique(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

function escapeCell(text: string): string {
  return text.replace(/\s+/g, " ").replace(/\|/g, "\\|").replace(/</g, "&lt;");
}
