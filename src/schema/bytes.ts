/**
 * Bytes are a `Uint8Array` in the program and base64 text in JSON (RFC 4648 section 4: the standard alphabet, with
 * padding). Where a schema says bytes, either form is taken, and what comes out is always a fresh `Uint8Array`.
 */
export function isBytes(value: unknown): value is Uint8Array | string {
  if (value instanceof Uint8Array) return true;
  return typeof value === "string" && value.length % 4 === 0 && base64Text.test(value);
}

const base64Text = /^[A-Za-z0-9+/]*={0,2}$/;

/** A fresh copy. What is neither bytes nor base64 text is read as far as it goes: whoever wants to know checks before. */
export function toBytes(value: Uint8Array | string): Uint8Array {
  return new Uint8Array(typeof value === "string" ? Buffer.from(value, "base64") : value);
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
