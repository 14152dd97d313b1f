import type { Infer, InferInput, Schema } from "../schema/index.ts";

/** A fact that a service announces, declared in its contract. Named in the past tense: `PriceChanged`. */
export interface EventOptions<P extends Schema> {
  /** The field of the payload whose events keep their order. */
  readonly key: Extract<keyof Infer<P>, string>;
  readonly payload: P;
  readonly description?: string;
}

export interface EventDeclaration<P extends Schema = Schema> {
  readonly kind: "event";
  readonly options: { readonly key: string; readonly payload: P; readonly description?: string };
}

/** An event that knows whose it is: what a contract holds, what is published and subscribed to. */
export interface EventDefinition<
  P extends Schema = Schema,
  Service extends string = string,
  Name extends string = string,
> extends EventDeclaration<P> {
  /** `"catalog.PriceChanged"`. */
  readonly id: `${Service}.${Name}`;
  readonly service: Service;
  readonly name: Name;
}

/** What a publisher gives. */
export type PayloadInput<E> = E extends EventDeclaration<infer P> ? InferInput<P> : never;
/** What a subscriber gets. */
export type Payload<E> = E extends EventDeclaration<infer P> ? Infer<P> : never;

export function event<P extends Schema>(options: EventOptions<P>): EventDeclaration<P> {
  return { kind: "event", options: options as unknown as EventDeclaration<P>["options"] };
}
