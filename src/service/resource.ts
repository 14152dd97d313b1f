/**
 * What a call is about, as far as deciding who may make it goes: a name, and the type of what the service finds by it.
 *
 *     export const order = resource<{ customerId: string }>()("order");
 *     method({ …, access: { resource: order, can: (who, _request, order) => order.customerId === who.subject } })
 *
 *     service(orders, { resources: { order: ({ id }, { db }) => findOrder(db, id) }, … })
 *
 * Importing it imports no implementation, so contracts can name it.
 */
export interface Resource<Name extends string = string, Value = any> {
  readonly kind: "resource";
  readonly name: Name;
  /** For the types only: never present at run time. */
  readonly type?: Value;
}

export type ResourceValue<X> = X extends Resource<string, infer V> ? V : undefined;

/** Two calls, since types are given in part only so: the first takes what is found, the second the name. */
export function resource<Value>(): <const Name extends string>(name: Name) => Resource<Name, Value> {
  return (name) => ({ kind: "resource", name });
}
