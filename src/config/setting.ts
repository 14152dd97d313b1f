import { parseDuration, parseSize, StartError } from "../base/index.ts";

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

interface Kind<T> {
  readonly kind: string;
  readonly example: string;
  readonly secret?: boolean;
  parse(text: string): T | undefined;
  /** Whether a default is one. Default: every one is. */
  holds?(value: T): boolean;
}

function build<T>(kind: Kind<T>, options: SettingOptions<T>): Setting<T> {
  const { description, default: fallback, example } = options;
  if (fallback !== undefined && kind.holds && !kind.holds(fallback)) {
    const shown = kind.secret ? "the default" : `the default ${String(fallback)}`;
    throw new StartError("SETTING_WRONG", `setting (${description}): ${shown} is not ${kind.kind} itself; correct it.`);
  }
  return {
    kind: kind.kind,
    example: example ?? kind.example,
    description,
    required: fallback === undefined,
    fallback,
    secret: kind.secret ?? false,
    parse: kind.parse,
  };
}

/** A number that `read` makes of the text, within bounds. */
function within(
  kind: Pick<Kind<number>, "kind" | "example">,
  read: (given: string) => number | undefined,
  min: number,
  max: number,
): Kind<number> {
  const holds = (value: number) => value >= min && value <= max;
  return {
    ...kind,
    holds,
    parse(given) {
      const value = read(given);
      return value !== undefined && holds(value) ? value : undefined;
    },
  };
}

/** What may be left out: `undefined` then, unless a default is given. */
export function optional<T>(setting: Setting<T>): Setting<T | undefined> {
  return { ...setting, required: false };
}

export function text(options: SettingOptions<string>): Setting<string> {
  return build({ kind: "a text", example: "value", parse: (given) => (given === "" ? undefined : given) }, options);
}

/** A text that nobody may see. At least `lengthMin` characters (default 16). */
export function secret(options: SettingOptions<string> & { readonly lengthMin?: number }): Setting<string> {
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
  );
}

export interface NumberOptions extends SettingOptions<number> {
  readonly min?: number;
  readonly max?: number;
}

export function integer(options: NumberOptions): Setting<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
  const kind = { kind: `a whole number from ${min} to ${max}`, example: String(Math.max(min, 1)) };
  // Adding zero makes a plain 0 of "-0".
  return build(
    within(kind, (given) => (/^-?\d+$/.test(given) ? Number(given) + 0 : undefined), min, max),
    options,
  );
}

/** A number from 0 to 1. */
export function ratio(options: SettingOptions<number>): Setting<number> {
  const read = (given: string) => (/^\d*\.?\d+$/.test(given) ? Number(given) : undefined);
  return build(within({ kind: "a number from 0 to 1", example: "0.01" }, read, 0, 1), options);
}

export function flag(options: SettingOptions<boolean>): Setting<boolean> {
  const values = new Map([
    ["true", true],
    ["1", true],
    ["false", false],
    ["0", false],
  ]);
  return build({ kind: "true or false", example: "true", parse: (given) => values.get(given.toLowerCase()) }, options);
}

/** Milliseconds, from a text such as "30s". Bounds in milliseconds. */
export function duration(options: NumberOptions): Setting<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
  const kind = { kind: `a duration${bounds(options, "ms")}`, example: "30s" };
  return build(within(kind, parseDuration, min, max), options);
}

/** Bytes, from a text such as "1mb". Bounds in bytes. */
export function size(options: NumberOptions): Setting<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
  return build(within({ kind: `a size${bounds(options, " bytes")}`, example: "1mb" }, parseSize, min, max), options);
}

function bounds({ min, max }: NumberOptions, unit: string): string {
  const least = min === undefined ? "" : ` of at least ${min}${unit}`;
  const most = max === undefined ? "" : `${min === undefined ? " of" : " and"} at most ${max}${unit}`;
  return least + most;
}

export function port(options: SettingOptions<number>): Setting<number> {
  return { ...integer({ ...options, max: 65_535 }), kind: "a port from 0 to 65535", example: "8080" };
}

/** An address. May hold a password, so its value is treated as a secret. `schemes`: those that will do, "postgres". */
export function url(options: SettingOptions<string> & { readonly schemes?: readonly string[] }): Setting<string> {
  const { schemes } = options;
  const holds = (given: string) =>
    URL.canParse(given) && (schemes === undefined || schemes.includes(new URL(given).protocol.slice(0, -1)));
  const kind = schemes === undefined ? "an address" : `an address that begins with ${schemes.join(":// or ")}://`;
  const example = `${schemes?.[0] ?? "postgres"}://user:password@host:5432/name`;
  return build({ kind, example, secret: true, holds, parse: (given) => (holds(given) ? given : undefined) }, options);
}

/** Several, with commas between. Blanks around each are dropped; each must be a value of `item`. At most 1000. */
export function list<T>(item: Setting<T>, options: SettingOptions<readonly T[]>): Setting<readonly T[]> {
  const parse = (given: string) => {
    const parts = given.split(",").map((part) => part.trim());
    if (parts.length > listCountMax) return undefined;
    const values = parts.map((part) => (part === "" ? undefined : item.parse(part)));
    return values.every((value) => value !== undefined) ? (values as T[]) : undefined;
  };
  const kind = `a list with commas of which each is ${item.kind}`;
  return build({ kind, example: `${item.example},${item.example}`, secret: item.secret, parse }, options);
}

const listCountMax = 1000;

export function oneOf<const T extends string>(values: readonly T[], options: SettingOptions<T>): Setting<T> {
  const parse = (given: string) => values.find((value) => value === given);
  const holds = (value: T) => values.includes(value);
  return build({ kind: `one of ${values.join(", ")}`, example: values[0] ?? "", holds, parse }, options);
}

/** `name=a,b;other=c`. */
export function addresses(
  options: SettingOptions<ReadonlyMap<string, readonly string[]>>,
): Setting<ReadonlyMap<string, readonly string[]>> {
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
  );
}

/** `name=http://a:8080,http://b:8080;other=https://c`. */
export function originsByName(
  options: SettingOptions<ReadonlyMap<string, readonly string[]>>,
): Setting<ReadonlyMap<string, readonly string[]>> {
  const parse = (given: string) => {
    const map = new Map<string, readonly string[]>();
    for (const part of given.split(";").filter((each) => each.trim() !== "")) {
      const [, name = "", rest = ""] = /^\s*([A-Za-z][A-Za-z0-9_-]{0,62})=([^;]+)$/.exec(part) ?? [];
      const list = rest.split(",").map((each) => each.trim());
      const areOrigins = list.every((each) => /^https?:\/\/[^/?#@\s]+$/.test(each) && URL.canParse(each));
      if (name === "" || map.has(name) || !areOrigins) return undefined;
      map.set(name, list);
    }
    return map;
  };
  const example = "legacy=http://10.0.0.2:8080,http://10.0.0.3:8080;billing=https://billing.internal";
  return build({ kind: "http addresses by name", example, parse }, options);
}

/** Addresses by name, with spaces between: `"b=postgres://… c=postgres://…"`. */
export function namedUrls(options: SettingOptions<ReadonlyMap<string, string>>): Setting<ReadonlyMap<string, string>> {
  const parse = (given: string) => {
    const map = new Map<string, string>();
    for (const part of given.split(/\s+/).filter((each) => each !== "")) {
      const [, name = "", address = ""] = /^([a-z][a-z0-9-]{0,40})=(.+)$/.exec(part) ?? [];
      if (name === "" || map.has(name) || !URL.canParse(address)) return undefined;
      map.set(name, address);
    }
    return map;
  };
  return build(
    {
      kind: "addresses by name, with spaces between",
      example: "b=postgres://host-b/shop c=postgres://host-c/shop",
      secret: true,
      parse,
    },
    options,
  );
}

/** `name=3;other=2`: how many of each, 1 to 10,000. */
export function counts(options: SettingOptions<ReadonlyMap<string, number>>): Setting<ReadonlyMap<string, number>> {
  const parse = (given: string) => {
    const map = new Map<string, number>();
    for (const part of given.split(";").filter((each) => each.trim() !== "")) {
      const [, name = "", count = ""] = /^\s*([a-z][a-z0-9-]*)=(\d{1,5})\s*$/.exec(part) ?? [];
      if (name === "" || map.has(name) || Number(count) < 1 || Number(count) > 10_000) return undefined;
      map.set(name, Number(count));
    }
    return map;
  };
  return build({ kind: "counts by name", example: "edge=3;orders=2", parse }, options);
}
