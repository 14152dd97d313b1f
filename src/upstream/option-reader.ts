import { parseDuration, parseSize } from "../base/index.ts";

/** Reads fields of options that may come from a file, with their defaults, and collects what is wrong with them. */
export class OptionReader {
  readonly problems: string[] = [];
  readonly #where: string;

  constructor(where: string) {
    this.#where = where;
  }

  wrong(what: string): void {
    this.problems.push(`${this.#where}: ${what}`);
  }

  /** An object with these fields and no others; {} for what is none. */
  fields<T extends object>(name: string, value: T | undefined, known: readonly (keyof T & string)[]): Partial<T> {
    if (value === undefined) return {};
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.wrong(`${name}: this is no object with fields.`);
      return {};
    }
    for (const field of Object.keys(value)) {
      if (!(known as readonly string[]).includes(field))
        this.wrong(`${name}: there is no "${field}"; there are ${known.join(", ")}.`);
    }
    return value;
  }

  ms(name: string, value: unknown, fallback: number, leastMs = 1): number {
    if (value === undefined) return fallback;
    const ms = parseDuration(value);
    if (ms !== undefined && ms >= leastMs) return ms;
    this.wrong(
      `${name}: ${JSON.stringify(value)} cannot be; write a duration of at least ${leastMs} ms, such as "30s".`,
    );
    return fallback;
  }

  bytes(name: string, value: unknown, fallback: number): number {
    if (value === undefined) return fallback;
    const bytes = parseSize(value);
    if (bytes !== undefined && bytes >= 1) return bytes;
    this.wrong(`${name}: ${JSON.stringify(value)} cannot be; write a size such as "64kb".`);
    return fallback;
  }

  count(name: string, value: unknown, fallback: number, most = 1_000_000): number {
    if (value === undefined) return fallback;
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most) return value;
    this.wrong(`${name}: ${JSON.stringify(value)} cannot be; write a whole number from 1 to ${most}.`);
    return fallback;
  }

  /** From 0 to 1, both included. */
  part(name: string, value: unknown, fallback: number): number {
    if (value === undefined) return fallback;
    if (typeof value === "number" && value >= 0 && value <= 1) return value;
    this.wrong(`${name}: ${JSON.stringify(value)} cannot be; write a number from 0 to 1.`);
    return fallback;
  }

  oneOf<T extends string>(name: string, value: unknown, known: readonly T[], fallback: T): T {
    if (value === undefined) return fallback;
    if (known.includes(value as T)) return value as T;
    this.wrong(`${name}: ${JSON.stringify(value)} cannot be; write one of ${known.join(", ")}.`);
    return fallback;
  }
}
