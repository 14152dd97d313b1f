import Type, { type TSchemaOptions, type TUnsafe } from "typebox";

export type TBytes = TUnsafe<Uint8Array>;

interface PlinthTypes {
  /** A `Uint8Array`: base64 text in JSON, raw bytes between processes. */
  Bytes(options?: TSchemaOptions): TBytes;
}

/**
 * The schema builder: TypeBox's, under the platform's own name, and `t.Bytes()`.
 *
 * What it builds is JSON Schema. A field with a `default` may be left out by an outside caller; a handler always
 * receives it. JSON Schema written by hand comes in through `t.Unsafe<Type>({ … })`. What JSON cannot hold (`t.BigInt`,
 * `t.Undefined`, `t.Function`, `t.Refine`, `t.Codec` …) is refused at start.
 */
export const t: typeof Type & PlinthTypes = Object.freeze({
  ...Type,
  Bytes: (options: TSchemaOptions = {}): TBytes =>
    Type.Unsafe<Uint8Array>({ ...options, "x-plinth": "bytes", contentEncoding: "base64" }),
});
