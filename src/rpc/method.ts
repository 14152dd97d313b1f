import type { Call, JsonSchema, StreamCall } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { Codec } from "../wire/index.ts";
import { compileCodec } from "../wire/index.ts";

/** A method as both sides of a connection know it. */
export interface RpcMethod {
  /** "catalog.getProduct" */
  readonly id: string;
  readonly kind: "unary" | "stream";
  readonly request: JsonSchema;
  /** Of a stream: of each item. */
  readonly response: JsonSchema;
}

/** `call` when unary, `stream` when streaming. What they receive is decoded, not validated: that is their first step. */
export interface RpcServerMethod extends RpcMethod {
  readonly call?: Call;
  readonly stream?: StreamCall;
}

export interface CompiledMethod<Method extends RpcMethod = RpcMethod> {
  readonly method: Method;
  readonly request: Codec;
  readonly response: Codec;
}

/** Throws StartError RPC_METHODS_WRONG for a method that occurs twice. */
export function compileMethods<Method extends RpcMethod>(methods: readonly Method[]): CompiledMethod<Method>[] {
  const ids = methods.map((method) => method.id);
  const twice = ids.filter((id, place) => ids.indexOf(id) !== place);
  if (twice.length > 0) {
    throw new StartError(
      "RPC_METHODS_WRONG",
      twice.map((id) => `rpc: the method "${id}" is given twice: name each once`),
    );
  }
  return methods.map((method) => ({
    method,
    request: compileCodec(method.request),
    response: compileCodec(method.response),
  }));
}

/** Throws StartError RPC_METHODS_WRONG for a method without what runs it. */
export function requireHandlers(methods: readonly RpcServerMethod[]): void {
  const wrong = methods.filter((method) => (method.kind === "unary" ? !method.call : !method.stream));
  if (wrong.length === 0) return;
  throw new StartError(
    "RPC_METHODS_WRONG",
    wrong.map(
      ({ id, kind }) => `rpc: the method "${id}" is ${kind}: give it "${kind === "unary" ? "call" : "stream"}"`,
    ),
  );
}

/** One line of the table that a server sends in its welcome. */
export type TableRow = readonly [id: string, kind: string, request: string, response: string];

export function tableOf(methods: readonly CompiledMethod[]): readonly TableRow[] {
  return methods.map(({ method, request, response }) => [
    method.id,
    method.kind,
    request.fingerprint,
    response.fingerprint,
  ]);
}

/** How a client calls one of its methods on one connection. */
export interface RemoteMethod {
  /** The method's place in the server's table. */
  readonly index: number;
  readonly isRequestCompiled: boolean;
  readonly isResponseCompiled: boolean;
}

/** For each of `methods` its counterpart in the server's table, undefined where the server does not have it. */
export function matchTable(methods: readonly CompiledMethod[], table: unknown): (RemoteMethod | undefined)[] {
  const rows = new Map<unknown, { row: readonly unknown[]; index: number }>();
  (Array.isArray(table) ? table : []).forEach((row: unknown, index) => {
    if (Array.isArray(row)) rows.set(row[0], { row, index });
  });
  return methods.map(({ method, request, response }) => {
    const found = rows.get(method.id);
    if (found?.row[1] !== method.kind) return undefined;
    return {
      index: found.index,
      isRequestCompiled: found.row[2] === request.fingerprint,
      isResponseCompiled: found.row[3] === response.fingerprint,
    };
  });
}
