/** Schemas: build them, take them from other libraries, and compile them into checker, copier and serializer. */
export { type TBytes, t } from "./builder.ts";
export type { ForeignSchema } from "./foreign.ts";
export type { Compiled, Infer, InferInput, NativeSchema, Schema } from "./schema.ts";
export { compile } from "./schema.ts";
export { compileStrings, type Flat } from "./strings.ts";
export type { Violation } from "./violation.ts";
