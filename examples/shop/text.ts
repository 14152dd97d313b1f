import { t } from "plinth";

/** One line of text, without control characters: it may stand in a subject line, and in a database. */
export function line(limits: { readonly min?: number; readonly max: number; readonly description?: string }) {
  const { min = 0, max, ...rest } = limits;
  return t.String({ minLength: min, maxLength: max, pattern: "^[^\\u0000-\\u001f\\u007f-\\u009f]*$", ...rest });
}

/** The id of anything: a product's short name, an order's UUID. */
export const Id = t.String({ pattern: "^[A-Za-z0-9-]{1,64}$" });

/** Where a parcel goes. */
export const Address = t.Object({
  name: line({ min: 1, max: 100 }),
  street: line({ min: 1, max: 200 }),
  city: line({ min: 1, max: 100 }),
  postalCode: line({ min: 1, max: 20 }),
  country: t.String({ pattern: "^[A-Z]{2}$", description: "ISO 3166-1 alpha-2 code." }),
});
