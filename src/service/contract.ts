import { StartError } from "../base/index.ts";
import type { EventDeclaration, EventDefinition } from "./event.ts";
import type { AnyMethod } from "./method.ts";
import type { Versions } from "./version.ts";

/**
 * The public face of a service: names, types, routes, access, events. A plain value that pulls in no implementation, so
 * that a caller imports it without importing the service.
 */
export type Methods = Readonly<Record<string, AnyMethod>>;
export type EventDeclarations = Readonly<Record<string, EventDeclaration>>;

type Bound<Name extends string, Es> = {
  readonly [K in keyof Es & string]: Es[K] extends EventDeclaration<infer P> ? EventDefinition<P, Name, K> : never;
};

export type Contract<
  Name extends string = string,
  Ms extends Methods = Methods,
  Es extends EventDeclarations = EventDeclarations,
> = {
  readonly kind: "contract";
  readonly name: Name;
  readonly methods: Ms;
  /** The versions of the API that its methods belong to. */
  readonly version: Versions | undefined;
  readonly events: Bound<Name, Es>;
} & Bound<Name, Es>;

/** Any contract, where the types inside do not matter. */
export interface AnyContract {
  readonly kind: "contract";
  readonly name: string;
  readonly methods: Methods;
  readonly version?: Versions | undefined;
  readonly events: Readonly<Record<string, EventDefinition>>;
}

/** What is awaited is asked for `then`, what is made has a `constructor`. */
const unusable: ReadonlySet<string> = new Set(["then", "constructor"]);

/** Declares a contract. Its events are also its members: `catalog.PriceChanged`. */
export function contract<const Name extends string, Ms extends Methods, Es extends EventDeclarations = {}>(
  name: Name,
  definition: { readonly methods: Ms; readonly events?: Es; readonly version?: Versions },
): Contract<Name, Ms, Es> {
  const problems: string[] = [];
  if (!/^[a-z][a-zA-Z0-9]{0,62}$/.test(name)) {
    problems.push(
      `contract "${name}": a name is letters and digits and begins with a small letter, such as "catalog".`,
    );
  }
  for (const methodName of Object.keys(definition.methods)) {
    if (!/^[a-z][a-zA-Z0-9]{0,62}$/.test(methodName)) {
      problems.push(`${name}.${methodName}: a method's name begins with a small letter, such as "getProduct".`);
    }
    if (unusable.has(methodName)) {
      problems.push(
        `${name}.${methodName}: a client with this method would not be a plain object; choose another name.`,
      );
    }
  }
  const events: Record<string, EventDefinition> = {};
  for (const [eventName, declaration] of Object.entries(definition.events ?? {})) {
    if (!/^[A-Z][a-zA-Z0-9]{0,62}$/.test(eventName)) {
      problems.push(`${name}.${eventName}: an event's name begins with a capital, such as "PriceChanged".`);
    }
    events[eventName] = { ...declaration, id: `${name}.${eventName}`, service: name, name: eventName };
  }
  if (problems.length > 0) throw new StartError("CONTRACT_INVALID", problems);
  const { methods, version } = definition;
  return { kind: "contract", name, methods, version, events, ...events } as unknown as Contract<Name, Ms, Es>;
}
