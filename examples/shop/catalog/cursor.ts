/** A place in the order of the catalog's pages: by name, and by id where two have the same. */
export interface Position {
  readonly name: string;
  readonly id: string;
}

/** Text that a caller hands back to get the next page. What is inside is not for it to know. */
export function toCursor({ name, id }: Position): string {
  return Buffer.from(JSON.stringify([name, id])).toString("base64url");
}

/** Undefined for anything that `toCursor` did not make, or could not have made. */
export function fromCursor(cursor: string): Position | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 2) return undefined;
  const [name, id] = parts as unknown[];
  return isPlain(name) && isPlain(id) ? { name, id } : undefined;
}

/** Control characters are in no name of ours, and a NUL is in no database. */
function isPlain(value: unknown): value is string {
  return typeof value === "string" && !/\p{Cc}/u.test(value);
}
