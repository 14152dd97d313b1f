import { toStandardJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import * as z from "zod";
import { t } from "./builder.ts";
import { type Compiled, compile, type Infer, type InferInput, type Schema } from "./schema.ts";

/** This file is only type-checked. Each line fails to compile when a type is not exactly what it says. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function exact<A, B>(_same: Equal<A, B>): void {}

const Product = t.Object({
  id: t.String(),
  priceCents: t.Integer({ minimum: 0 }),
  note: t.Optional(t.String()),
  kind: t.Union([t.Literal("book"), t.Literal("toy")]),
  size: t.Enum(["s", "m"]),
  tags: t.Array(t.String()),
  stock: t.Record(t.String(), t.Integer()),
  pair: t.Tuple([t.String(), t.Number()]),
  parent: t.Union([t.Null(), t.Object({ id: t.String() })]),
  image: t.Bytes(),
  extra: t.Unknown(),
});

interface ProductType {
  id: string;
  priceCents: number;
  note?: string;
  kind: "book" | "toy";
  size: "s" | "m";
  tags: string[];
  stock: Record<string, number>;
  pair: [string, number];
  parent: null | { id: string };
  image: Uint8Array;
  extra: unknown;
}
type Flatten<T> = { [K in keyof T]: T[K] };
exact<Infer<typeof Product>, Flatten<ProductType>>(true);
exact<InferInput<typeof Product>, Flatten<ProductType>>(true);
const product: Compiled<Infer<typeof Product>> = compile(Product);
exact<ReturnType<typeof product.parse>, Infer<typeof Product>>(true);

const Merged = t.Intersect([t.Object({ a: t.String() }), t.Object({ b: t.Boolean() })]);
exact<Flatten<Infer<typeof Merged>>, { a: string; b: boolean }>(true);
const Picked = t.Pick(Product, ["id", "note"]);
exact<Infer<typeof Picked>, { id: string; note?: string }>(true);
const HandWritten = t.Unsafe<{ a: 1 }>({ type: "object" });
exact<Infer<typeof HandWritten>, { a: 1 }>(true);

const zodUser = z.object({
  name: z.string(),
  age: z.number().default(1),
  at: z.string().transform(Number).pipe(z.number()),
});
exact<Infer<typeof zodUser>, { name: string; age: number; at: number }>(true);
exact<InferInput<typeof zodUser>, { name: string; at: string; age?: number | undefined }>(true);
exact<ReturnType<typeof compileZod>, Compiled<{ name: string; age: number; at: number }>>(true);
function compileZod() {
  return compile(zodUser);
}

const valibotUser = toStandardJsonSchema(v.object({ name: v.string(), age: v.optional(v.number(), 1) }));
exact<Infer<typeof valibotUser>, { name: string; age: number }>(true);
exact<InferInput<typeof valibotUser>, { name: string; age?: number | undefined }>(true);

const each: Schema[] = [Product, Merged, HandWritten, zodUser, valibotUser, t.Optional(t.String()), t.Bytes()];
void each;

// @ts-expect-error a plain object is no schema: t.Unsafe<Type>({ … }) says what type it stands for
compile({ type: "string" });
// @ts-expect-error valibot has no JSON Schema of its own: toStandardJsonSchema gives it one
compile(v.object({ name: v.string() }));
// @ts-expect-error a schema is an object
compile("string");
// @ts-expect-error the builder has no such type
t.Strng();
