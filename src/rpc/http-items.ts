import { StringDecoder } from "node:string_decoder";
import type { PlinthError } from "../base/index.ts";
import { answerUnreadable } from "../http/index.ts";
import { fromProblem } from "../wire/index.ts";

/** What a streaming body brings: items, and at last perhaps an error or an end. */
export type HttpItem =
  | { readonly kind: "item"; readonly value: unknown; readonly charCount: number }
  | { readonly kind: "error"; readonly error: PlinthError }
  | { readonly kind: "end" };

/** Cuts a body into items. `finish` gives what is left when the body has ended. Throws on what is no item. */
export interface ItemDecoder {
  push(chunk: Buffer): HttpItem[];
  finish(): HttpItem[];
}

/** For `application/x-ndjson` and `text/event-stream`; undefined for other types. `charCountMax` is of one line or event. */
export function itemDecoderOf(contentType: string, charCountMax: number): ItemDecoder | undefined {
  const type = contentType.split(";")[0]?.trim().toLowerCase();
  if (type === "application/x-ndjson" || type === "application/jsonl") return lineDecoder(charCountMax);
  return type === "text/event-stream" ? eventDecoder(charCountMax) : undefined;
}

function lineDecoder(charCountMax: number): ItemDecoder {
  const lines = new Lines(charCountMax, /\n/);
  const toItems = (texts: readonly string[]): HttpItem[] =>
    texts.filter((text) => text.trim() !== "").map((text) => itemOf(text, failureIn));
  return { push: (chunk) => toItems(lines.push(chunk)), finish: () => toItems(lines.finish()) };
}

/** A line `{"error": problem}` is how a stream of ours ends in failure. */
function failureIn(value: unknown): PlinthError | undefined {
  if (typeof value !== "object" || value === null || Object.keys(value).join() !== "error") return undefined;
  const problem = (value as { error: unknown }).error as { type?: unknown; status?: unknown } | null;
  if (typeof problem?.type !== "string" || typeof problem.status !== "number") return undefined;
  return fromProblem(problem.status, problem);
}

/** Server-sent events (WHATWG HTML, 9.2.6). Events but "message", "error" and "end" are passed over, as are comments. */
function eventDecoder(charCountMax: number): ItemDecoder {
  const lines = new Lines(charCountMax, /\r\n|\n|\r(?!$)/);
  let name = "";
  let data: string[] = [];
  let charCount = 0;
  const dispatch = (): HttpItem[] => {
    const [event, text] = [name || "message", data.join("\n")];
    const isEmpty = data.length === 0;
    name = "";
    data = [];
    charCount = 0;
    if (event === "end") return [{ kind: "end" }];
    if (isEmpty) return [];
    if (event === "error") return [{ kind: "error", error: problemOf(text) }];
    return event === "message" ? [itemOf(text)] : [];
  };
  const take = (line: string): HttpItem[] => {
    if (line === "") return dispatch();
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    charCount += value.length;
    if (charCount > charCountMax) throw itemTooLarge(charCountMax);
    if (field === "event") name = value;
    if (field === "data") data.push(value);
    return [];
  };
  // An event that the end cuts off is not dispatched, says the standard.
  return { push: (chunk) => lines.push(chunk).flatMap(take), finish: () => [] };
}

function problemOf(text: string): PlinthError {
  let problem: unknown;
  try {
    problem = JSON.parse(text);
  } catch {
    problem = undefined;
  }
  const status = (problem as { status?: unknown } | undefined | null)?.status;
  return fromProblem(typeof status === "number" ? status : 500, problem);
}

function itemOf(text: string, failure?: (value: unknown) => PlinthError | undefined): HttpItem {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw answerUnreadable("an item is no JSON", cause);
  }
  const failed = failure?.(value);
  return failed ? { kind: "error", error: failed } : { kind: "item", value, charCount: text.length };
}

/** Text cut at line ends. Keeps the unfinished line, and no more of it than allowed. */
class Lines {
  readonly #decoder = new StringDecoder("utf8");
  readonly #charCountMax: number;
  readonly #end: RegExp;
  #rest = "";

  constructor(charCountMax: number, end: RegExp) {
    this.#charCountMax = charCountMax;
    this.#end = end;
  }

  push(chunk: Buffer): string[] {
    const lines = (this.#rest + this.#decoder.write(chunk)).split(this.#end);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > this.#charCountMax || lines.some((line) => line.length > this.#charCountMax)) {
      throw itemTooLarge(this.#charCountMax);
    }
    return lines;
  }

  finish(): string[] {
    const last = this.#rest + this.#decoder.end();
    this.#rest = "";
    return last === "" ? [] : [last];
  }
}

function itemTooLarge(charCountMax: number): PlinthError {
  return answerUnreadable(`an item has more than ${charCountMax} characters`);
}
