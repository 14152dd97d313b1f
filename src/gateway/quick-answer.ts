import type { IncomingMessage } from "node:http";
import { ServerResponse, STATUS_CODES } from "node:http";
import type { Clock } from "../base/index.ts";
import type { HeadTemplate } from "./head.ts";

/**
 * The usual answer, a text of ASCII under a head that was made at start, as one text and in one write.
 *
 * `writeHead` looks at each name and value anew, and `end` writes head and body as a list of pieces: together a fifth of
 * what a small request costs. Node keeps the head of an answer as text in `_header` until the answer ends, and sends what
 * stands there as Latin-1. So the whole answer may stand there.
 *
 * Node does not document that field. This is done with answers of our own server alone, and only after `writeHead` made of
 * one of them the very text that would stand here, and changed nothing that is not known. Where Node does it otherwise,
 * Node does it.
 */
export class QuickAnswers {
  readonly #clock: Clock;
  /** What follows the date. */
  readonly #end: string;
  /** Date, connection and the empty line. "" until it is asked for, and again when its second is over. */
  #tail = "";
  /** What follows a head that has its own date. */
  readonly #datedEnd: string;
  /** Undefined: no answer has shown it yet. */
  #isProven: boolean | undefined = undefined;

  constructor(clock: Clock, keepAliveMs: number) {
    this.#clock = clock;
    this.#datedEnd = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`;
    this.#end = `\r\n${this.#datedEnd}`;
  }

  /** Whether `res` can be answered so: nobody wrote to it, and its connection is kept. */
  takes(res: ServerResponse): res is GatewayResponse {
    return this.#isProven === true && isUntouched(res);
  }

  /** `extras` are further lines of the head; `body` is text of one byte for each character. */
  send(res: GatewayResponse, { status, beginning, rest, hasDate }: QuickHead, extras: string, body: string): void {
    if (this.#tail === "") this.#renew();
    res.statusCode = status;
    res._header = beginning + body.length + rest + extras + (hasDate ? this.#datedEnd : this.#tail) + body;
    res.end();
  }

  /** `writeHead`, which shows whether all is as it has to be. */
  writeHead(res: ServerResponse, head: QuickHead, extras: string | undefined, flat: string[]): void {
    if (extras === undefined || this.#isProven !== undefined || !isUntouched(res)) {
      res.writeHead(head.status, flat);
      return;
    }
    const before = fieldsOf(res);
    res.writeHead(head.status, flat);
    const text = res._header ?? "";
    const date = head.hasDate ? "" : (/\r\nDate: ([^\r]+)\r\n/.exec(text)?.[1] ?? "");
    const isNow = head.hasDate || Math.abs(Date.parse(date) - this.#clock.wallNow()) < dateMsMax;
    const end = head.hasDate ? this.#datedEnd : `Date: ${date}${this.#end}`;
    const expected = `${head.beginning}${flat[1]}${head.rest}${extras}${end}`;
    const changed = [...fieldsOf(res)].filter(([name, value]) => !Object.is(before.get(name), value));
    this.#isProven = isNow && text === expected && changed.every(([name]) => known.has(name));
  }

  #renew(): void {
    const now = this.#clock.wallNow();
    this.#tail = `Date: ${new Date(now).toUTCString()}${this.#end}`;
    this.#clock.after(1000 - (now % 1000), () => {
      this.#tail = "";
    });
  }
}

/** A head in the two ways in which it can be told. */
export interface QuickHead {
  readonly status: number;
  /** For `writeHead`; the length is its second element. */
  readonly flat: HeadTemplate;
  /** Up to the length, and from there on. */
  readonly beginning: string;
  readonly rest: string;
  /** It tells the date itself, for the answer is somebody else's. */
  readonly hasDate: boolean;
}

/** Of a head whose first line is the length. */
export function quickHead(status: number, flat: HeadTemplate, hasDate = false): QuickHead {
  return { status, flat, beginning: beginningOf(status), rest: `\r\n${headLines(flat, 2)}`, hasDate };
}

/** Up to the length, by status: there are few. */
const beginnings = new Map<number, string>();

function beginningOf(status: number): string {
  let beginning = beginnings.get(status);
  if (beginning === undefined) {
    beginning = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\ncontent-length: `;
    beginnings.set(status, beginning);
  }
  return beginning;
}

/** Names and values, from the `from`th on, as lines of a head. They have been checked. */
export function headLines(pairs: readonly string[], from = 0): string {
  let text = "";
  for (let i = from; i < pairs.length; i += 2) text += `${pairs[i]}: ${pairs[i + 1]}\r\n`;
  return text;
}

/** An answer of our own server, to which nobody adds headers behind its back. */
export class GatewayResponse<R extends IncomingMessage = IncomingMessage> extends ServerResponse<R> {
  /** Node's own: the text of the head once it is made. */
  declare _header: string | null;
  declare hasOwnHeaders: boolean;

  override setHeader(...given: Parameters<ServerResponse["setHeader"]>): this {
    this.hasOwnHeaders = true;
    return super.setHeader(...given);
  }

  override appendHeader(...given: Parameters<ServerResponse["appendHeader"]>): this {
    this.hasOwnHeaders = true;
    return super.appendHeader(...given);
  }
}

GatewayResponse.prototype.hasOwnHeaders = false;

function isUntouched(res: ServerResponse): res is GatewayResponse {
  return (
    res instanceof GatewayResponse &&
    res._header === null &&
    !res.hasOwnHeaders &&
    res.shouldKeepAlive &&
    res.sendDate &&
    res.statusMessage === undefined
  );
}

/** What `writeHead` may change. */
const known: ReadonlySet<PropertyKey> = new Set(["_header", "_contentLength", "statusCode", "statusMessage"]);
const dateMsMax = 2000;

function fieldsOf(res: ServerResponse): Map<PropertyKey, unknown> {
  const fields = res as unknown as Readonly<Record<PropertyKey, unknown>>;
  return new Map(Reflect.ownKeys(res).map((name) => [name, fields[name]]));
}
