import { parseDuration, parseSize } from "../base/index.ts";

/**
 * One setting: how its text becomes a value, what holds when it is not set, and what it is for. Made by the functions
 * below; read by `readSettings`.
 */
export interface Setting<T> {
  /** What is expected, for messages and documents: "a duration". */
  readonly kind: string;
  /** A text that would do. */
  readonly example: string;
  readonly description: string;
  readonly required: boolean;
  readonly fallback: T | undefined;
  /** Its value never appears in a message, a document or a log. */
  readonly secret: boolean;
  /** The value, or undefined when the text is none. */
  parse(text: string): T | undefined;
}

export interface SettingOptions<T> {
  readonly description: string;
  readonly default?: T;
  readonly example?: string;
}

type Required<T> = Setting<T>;
type Optional<T> = Setting<T | undefined>;

interface Kind<T> {
  readonly kind: string;
  readonly example: string;
  readonly secret?: boolean;
  parse(text: string): T | undefined;
}

function build<T>(kind: Kind<T>, options: SettingOptions<T>, required: boolean): Setting<T> {
  return {
    kind: kind.kind,
    example: options.example ?? kind.example,
    description: options.description,
    required: required && options.default === undefined,
    fallback: options.default,
    secret: kind.secret ?? false,
    parse: kind.parse,
  };
}

/** What may be left out: `undefined` then, unless a default is given. */
export function optional<T>(setting: Setting<T>): Optional<T> {
  return { ...setting, required: false };
}

export function text(options: SettingOptions<string>): Required<string> {
  return build(
    { kind: "a text", example: "value", parse: (given) => (given === "" ? undefined : given) },
    options,
    true,
  );
}

/** A text that nobody may see. At least `lengthMin` characters (default 16). */
export function secret(options: SettingOptions<string> & { readonly lengthMin?: number }): Required<string> {
  const lengthMin = options.lengthMin ?? 16;
  const kind = `a secret of at least ${lengthMin} characters`;
  return build(
    {
      kind,
      example: "$(openssl rand -base64 32)",
      secret: true,
      parse: (given) => (given.length >= lengthMin ? given : undefined),
    },
    options,
    true,
  );
}

export function integer(
  options: SettingOptions<number> & { readonly min?: number; readonly max?: number },
): Required<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
  const parse = (given: string) => {
    const value = /^-?\d+$/.test(given) ? Number(given) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
  return build(
    { kind: `a whole number from ${min} to ${max}`, example: String(Math.max(min, 1)), parse },
    options,
    true,
  );
}

/** A number from 0 to 1. */
export function ratio(options: SettingOptions<number>): Required<number> {
  const parse = (given: string) => {
    const value = given.trim() === "" ? Number.NaN : Number(given);
    return value >= 0 && value <= 1 ? value : undefined;
  };
  return build({ kind: "a number from 0 to 1", example: "0.01", parse }, options, true);
}

export function flag(options: SettingOptions<boolean>): Required<boolean> {
  const values = new Map([
    ["true", true],
    ["1", true],
    ["false", false],
    ["0", false],
  ]);
  return build(
    { kind: "true or false", example: "true", parse: (given) => values.get(given.toLowerCase()) },
    options,
    true,
  );
}

/** Milliseconds. */
export function duration(options: SettingOptions<number>): Required<number> {
  return build({ kind: "a duration", example: "30s", parse: parseDuration }, options, true);
}

/** Bytes. */
export function size(options: SettingOptions<number>): Required<number> {
  return build({ kind: "a size", example: "1mb", parse: parseSize }, options, true);
}

export function port(options: SettingOptions<number>): Required<number> {
  return { ...integer({ ...options, max: 65_535 }), kind: "a port from 0 to 65535", example: "8080" };
}

/** An address. May hold a password, so its value is treated as a secret. */
export function url(options: SettingOptions<string>): Required<string> {
  const parse = (given: string) => (URL.canParse(given) ? given : undefined);
  return build(
    { kind: "an address", example: "postgres://user:password@host:5432/name", secret: true, parse },
    options,
    true,
  );
}

export function oneOf<const T extends string>(values: readonly T[], options: SettingOptions<T>): Required<T> {
  const parse = (given: string) => values.find((value) => value === given);
  return build({ kind: `one of ${values.join(", ")}`, example: values[0] ?? "", parse }, options, true);
}

/** `name=a,b;other=c`. */
export function addresses(
  options: SettingOptions<ReadonlyMap<string, readonly string[]>>,
): Required<ReadonlyMap<string, readonly string[]>> {
  const parse = (given: string) => {
    const map = new Map<string, readonly string[]>();
    for (const part of given.split(";").filter((each) => each.trim() !== "")) {
      const match = /^\s*([a-z][a-z0-9-]*)=([^=;]+)$/.exec(part);
      if (!match) return undefined;
      const list = (match[2] as string).split(",").map((each) => each.trim());
      if (!list.every((each) => /^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/i.test(each))) return undefined;
      map.set(match[1] as string, list);
    }
    return map;
  };
  return build(
    { kind: "addresses by name", example: "orders=10.0.0.2:7000,10.0.0.3:7000;workers=10.0.0.4:7000", parse },
    options,
    true,
  );
}
