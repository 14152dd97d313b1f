import { setTimeout as sleep } from "node:timers/promises";

/** What a caller got, and what it should have got at least. */
export interface SeenRead {
  readonly over: "http" | "rpc" | "later" | "visit";
  /** It must not be older than this. */
  readonly expected: number;
  readonly version: number;
  readonly fromReplica: boolean;
  /** Written by one process, and read by another. */
  readonly isApart: boolean;
  readonly at: number;
}

export interface Record {
  readonly reads: SeenRead[];
  readonly errors: string[];
}

export interface CallersOptions {
  readonly url: string;
  /** Whether what an answer says in `Plinth-Position` is sent with the next request. */
  readonly carries: boolean;
  readonly prefix: string;
  /** Callers of each kind: over HTTP, over RPC, such that wait before they read, such that only look. */
  readonly count: number;
  /** How long a waiting caller waits. */
  readonly patienceMs: number;
  /** A read without a position may lack what is younger. */
  readonly stalenessMs: number;
  readonly goesOn: () => boolean;
  readonly onRead?: (over: SeenRead["over"]) => void;
}

interface Answer {
  readonly version: number;
  readonly fromReplica: boolean;
  readonly process: number;
}

/** Callers who write and read until it is enough. Each has a note of its own, and counts its version up. */
export async function runCallers(options: CallersOptions): Promise<Record> {
  const record: Record = { reads: [], errors: [] };
  /** By note: when which version was acknowledged. */
  const acknowledged = new Map<string, { readonly at: number; readonly version: number }[]>();
  const kinds = [overHttp, overRpc, later, visit];
  const each = (kind: Kind, i: number) => repeat({ options, record, acknowledged, i }, kind);
  await Promise.all(kinds.flatMap((kind) => Array.from({ length: options.count }, (_, i) => each(kind, i))));
  return record;
}

interface Caller {
  readonly options: CallersOptions;
  readonly record: Record;
  readonly acknowledged: Map<string, { readonly at: number; readonly version: number }[]>;
  readonly i: number;
}

type Kind = (caller: Caller, version: number) => Promise<void>;

async function repeat(caller: Caller, kind: Kind): Promise<void> {
  const { options, record } = caller;
  for (let version = 1; options.goesOn(); version++) {
    try {
      await kind(caller, version);
    } catch (thrown) {
      record.errors.push(`${kind.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      await sleep(50);
    }
  }
}

async function overHttp(caller: Caller, version: number): Promise<void> {
  const id = `${caller.options.prefix}-http-${caller.i}`;
  const { position, process } = await write(caller, id, version);
  const { answer } = await read(caller, id, position);
  note(caller, "http", version, answer, process);
}

/** As `overHttp`, and once more when the replica has it. */
async function later(caller: Caller, version: number): Promise<void> {
  const id = `${caller.options.prefix}-later-${caller.i}`;
  const { position, process } = await write(caller, id, version);
  const first = await read(caller, id, position);
  note(caller, "http", version, first.answer, process);
  await sleep(caller.options.patienceMs);
  const { answer } = await read(caller, id, first.position);
  note(caller, "later", version, answer, process);
}

async function overRpc(caller: Caller, version: number): Promise<void> {
  const id = `${caller.options.prefix}-rpc-${caller.i}`;
  const { body } = await ask(caller.options, "POST", `/desk/${id}`, { version });
  const { written, read: answer } = body as { written: { process: number }; read: Answer };
  note(caller, "rpc", version, answer, written.process);
}

/** Reads what another wrote, and knows nothing of it: only the bound holds. */
async function visit(caller: Caller): Promise<void> {
  const { acknowledged, options } = caller;
  await sleep(5);
  const id = `${options.prefix}-http-${caller.i}`;
  const since = performance.now() - options.stalenessMs;
  const expected = acknowledged.get(id)?.findLast(({ at }) => at <= since)?.version ?? 0;
  const { answer } = await read(caller, id, undefined);
  note(caller, "visit", expected, answer, answer.process);
}

async function write(caller: Caller, id: string, version: number) {
  const { body, position } = await ask(caller.options, "PUT", `/notes/${id}`, { version });
  const known = caller.acknowledged.get(id) ?? [];
  caller.acknowledged.set(id, known);
  known.push({ at: performance.now(), version });
  return { position, process: (body as { process: number }).process };
}

async function read({ options }: Caller, id: string, position: string | undefined) {
  const { body, position: next } = await ask(options, "GET", `/notes/${id}`, undefined, position);
  return { answer: body as Answer, position: next ?? position };
}

function note(
  { record, options }: Caller,
  over: SeenRead["over"],
  expected: number,
  answer: Answer,
  writer: number,
): void {
  const { version, fromReplica, process } = answer;
  options.onRead?.(over);
  record.reads.push({ over, expected, version, fromReplica, isApart: process !== writer, at: performance.now() });
}

async function ask(
  { url, carries }: CallersOptions,
  method: string,
  path: string,
  body: object | undefined,
  position?: string,
): Promise<{ body: unknown; position: string | undefined }> {
  const answer = await fetch(url + path, {
    method,
    headers: {
      ...(body && { "content-type": "application/json" }),
      ...(carries && position !== undefined && { "plinth-position": position }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
  return { body: JSON.parse(text), position: answer.headers.get("plinth-position") ?? undefined };
}
