import type { HeldReply, LineReader, LineReaderOptions, Part } from "./exchange.ts";
import { holdReply, pass, requestSteps } from "./exchange.ts";
import type { Step } from "./pipe.ts";
import type { Prefix } from "./prefix-framer.ts";
import { createPrefixFramer } from "./prefix-framer.ts";
import type { Verdict } from "./rule.ts";

/**
 * Reads the frontend/backend protocol of PostgreSQL, version 3 (its documentation, chapter 55): simple queries, and
 * statements of the extended protocol, also when many are sent at once. What is asked is the SQL text.
 *
 * The reply to a simple query is over with ReadyForQuery: then what it did is committed, or not. The reply to an
 * executed statement is over with the ReadyForQuery after it too, except that COMMIT is over with its own
 * CommandComplete. The answer of a hit is the command tag, or `ERROR` and the SQLSTATE. A line that becomes encrypted is
 * not read.
 */
export function createPostgresLine(options: LineReaderOptions): LineReader {
  const frontend = new Frontend(options);
  const backend = new Backend(frontend, options);
  return { up: (chunk) => frontend.read(chunk), down: (chunk) => backend.read(chunk) };
}

/** Something that the client waits for. */
interface Unit {
  readonly kind: "query" | "execute" | "sync";
  readonly verdict: Verdict | undefined;
}

const typed: Prefix = { headBytes: 5, totalBytes: (head) => 1 + head.readUInt32BE(1) };
const untyped: Prefix = { headBytes: 8, totalBytes: (head) => startupLength(head.readUInt32BE(0)) };
/** As the server itself bounds it; more is another protocol. */
const startupLength = (length: number): number | undefined => (length <= 10_000 ? length : undefined);

const startupCode = { version3: 196_608, encrypt: [80_877_103, 80_877_104] };

class Frontend {
  readonly units: Unit[] = [];
  /** The server is to say with one byte whether it encrypts. */
  asksEncryption = false;
  raw = false;
  readonly #options: LineReaderOptions;
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, string>();
  #started = false;
  #verdict: Verdict | undefined;
  readonly #framer = createPrefixFramer(
    () => (this.#started ? typed : untyped),
    () => this.giveUp(),
  );

  constructor(options: LineReaderOptions) {
    this.#options = options;
  }

  giveUp(): void {
    if (!this.raw) this.#options.unread();
    this.raw = true;
  }

  read(chunk: Buffer): readonly Step[] {
    if (this.raw) return [pass(chunk)];
    return this.#framer.push(chunk).flatMap((part) => {
      if (part.first) this.#verdict = this.#started ? this.#message(part) : this.#startup(part);
      return requestSteps(this.#verdict, part, this.#options);
    });
  }

  #startup({ bytes }: Part): undefined {
    const code = bytes.readUInt32BE(4);
    if (startupCode.encrypt.includes(code)) this.asksEncryption = true;
    else this.#started = code >= startupCode.version3 && code < startupCode.version3 + 0x1_0000;
  }

  #message({ bytes }: Part): Verdict | undefined {
    const type = String.fromCharCode(bytes[0] as number);
    const [first, second] = texts(bytes, type === "P" || type === "B" ? 2 : 1);
    if (type === "P") remember(this.#statements, first, second);
    else if (type === "B") remember(this.#portals, first, this.#statements.get(second) ?? "");
    else if (type === "Q") return this.#expect("query", first);
    else if (type === "E") return this.#expect("execute", this.#portals.get(first) ?? "");
    else if (type === "S") this.units.push({ kind: "sync", verdict: undefined });
    else if (type === "F") this.units.push({ kind: "query", verdict: undefined });
    return undefined;
  }

  #expect(kind: Unit["kind"], text: string): Verdict | undefined {
    const verdict = this.#options.judge(text);
    this.units.push({ kind, verdict });
    return verdict;
  }
}

/** Names are the client's; a client that never closes its statements must not fill this. */
const namesMax = 10_000;

function remember(names: Map<string, string>, name: string, text: string): void {
  names.delete(name);
  names.set(name, text);
  const oldest = names.size > namesMax ? names.keys().next().value : undefined;
  if (oldest !== undefined) names.delete(oldest);
}

/** The first strings of a message, each ended by a zero. */
function texts(bytes: Buffer, count: number): [string, string] {
  const found: string[] = [];
  let at = 5;
  while (found.length < count) {
    const end = bytes.indexOf(0, at);
    found.push(bytes.toString("utf8", at, end === -1 ? bytes.length : end));
    at = end === -1 ? bytes.length : end + 1;
  }
  return [found[0] ?? "", found[1] ?? ""];
}

/** Those that answer an Execute; all before them answer a Parse, Bind or Describe. */
const executeReplies = "DCIsEGHWdc";
const asynchronous = "NSA";

class Backend {
  readonly #frontend: Frontend;
  readonly #options: LineReaderOptions;
  readonly #framer = createPrefixFramer(
    () => typed,
    () => this.#frontend.giveUp(),
  );
  /** The reply that a rule has in hand. */
  #held: { readonly reply: HeldReply; answer: string } | undefined;
  #passes = true;

  constructor(frontend: Frontend, options: LineReaderOptions) {
    this.#frontend = frontend;
    this.#options = options;
  }

  read(chunk: Buffer): readonly Step[] {
    const { raw, asksEncryption } = this.#frontend;
    if (chunk.length === 0) return [];
    if (raw) return [pass(chunk)];
    if (asksEncryption) {
      this.#frontend.asksEncryption = false;
      const answer = String.fromCharCode(chunk[0] as number);
      if (answer === "S" || answer === "G") this.#frontend.giveUp();
      if (answer !== "E") return [pass(chunk.subarray(0, 1)), ...this.read(chunk.subarray(1))];
    }
    return this.#framer.push(chunk).flatMap((part) => (part.first ? this.#message(part) : this.#rest(part)));
  }

  #rest({ bytes }: Part): readonly Step[] {
    return this.#passes || !this.#held ? [pass(bytes)] : this.#held.reply.take(bytes);
  }

  #message({ bytes }: Part): readonly Step[] {
    const type = String.fromCharCode(bytes[0] as number);
    this.#passes = asynchronous.includes(type);
    if (this.#passes) return [pass(bytes)];
    const unit = this.#frontend.units[0];
    if (!this.#held && unit && (unit.kind === "query" || executeReplies.includes(type))) {
      const reply = holdReply(unit.verdict, this.#options);
      if (reply) this.#held = { reply, answer: "nothing" };
    }
    this.#advance(type);
    const held = this.#held;
    if (!held) {
      this.#passes = true;
      return [pass(bytes)];
    }
    if (type === "C") held.answer = texts(bytes, 1)[0];
    if (type === "E") held.answer = `ERROR ${sqlState(bytes)}`;
    const isOver = type === "Z" || (unit?.kind === "execute" && type === "C" && held.answer === "COMMIT");
    if (!isOver) return held.reply.take(bytes);
    this.#held = undefined;
    return held.reply.take(bytes, held.answer);
  }

  /** Strikes off what the client need not wait for any more. */
  #advance(type: string): void {
    const { units } = this.#frontend;
    if (type === "Z") {
      while (units[0]?.kind === "execute") units.shift();
      units.shift();
    } else if (units[0]?.kind === "execute") {
      if ("CIs".includes(type)) units.shift();
      // The server skips everything up to the next Sync.
      if (type === "E") while (units[0]?.kind === "execute") units.shift();
    }
  }
}

function sqlState(bytes: Buffer): string {
  for (let at = 5; at < bytes.length && bytes[at] !== 0; ) {
    const end = bytes.indexOf(0, at);
    if (bytes[at] === 0x43) return bytes.toString("latin1", at + 1, end);
    at = end === -1 ? bytes.length : end + 1;
  }
  return "unknown";
}
