/**
 * Durations and sizes as people write them: `"30s"`, `"5m"`, `"250ms"`, `"1d"`; `"64kb"`, `"1mb"` (powers of 1024).
 * A bare number is milliseconds, or bytes.
 */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;
export type Size = number | `${number}${"b" | "kb" | "mb" | "gb"}`;

type Units = ReadonlyMap<string, number>;

const durationUnits: Units = new Map(Object.entries({ ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }));
const sizeUnits: Units = new Map(Object.entries({ b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }));

/** Milliseconds, or undefined when it is no duration. Never negative. */
export function parseDuration(value: unknown): number | undefined {
  return parse(value, durationUnits, "ms");
}

/** Bytes, or undefined when it is no size. Never negative. */
export function parseSize(value: unknown): number | undefined {
  return parse(value, sizeUnits, "b");
}

/** Milliseconds of a duration that the program wrote. Throws on anything else. */
export function toMs(value: Duration): number {
  const ms = parseDuration(value);
  if (ms === undefined)
    throw new TypeError(`${JSON.stringify(value)} is no duration: write "250ms", "30s", "5m", "2h" or "1d"`);
  return ms;
}

/** Bytes of a size that the program wrote. Throws on anything else. */
export function toBytes(value: Size): number {
  const bytes = parseSize(value);
  if (bytes === undefined)
    throw new TypeError(`${JSON.stringify(value)} is no size: write "512b", "64kb", "1mb" or "1gb"`);
  return bytes;
}

function parse(value: unknown, units: Units, bare: string): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value.trim());
  const unit = units.get((match?.[2] || bare).toLowerCase());
  if (!match || unit === undefined) return undefined;
  const amount = Number(match[1]) * unit;
  return Number.isFinite(amount) ? amount : undefined;
}
