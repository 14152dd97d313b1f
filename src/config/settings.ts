import { StartError } from "../base/index.ts";
import { likeness } from "./likeness.ts";
import type { Setting } from "./setting.ts";

/**
 * Settings come from the environment, are read once at start, and are typed from then on.
 *
 * Promises: everything that is missing or wrong is told at once, each with the variable, what was expected, an example,
 * what it is for and who needs it; the value of a secret appears in no message and no description. An empty variable
 * counts as not set, as most deployments mean it. Not promised: reading again while the process runs.
 *
 * The value of a secret is plain text for whoever uses it. So that it cannot slip into a log line, `readSettings` hands
 * each secret to `onSecret`: give it the logger's `registerSecret`.
 */
export type SettingsSpec = Readonly<Record<string, SpecEntry>>;

export interface SpecEntry {
  /** The environment variable: capital letters, digits, underscores. */
  readonly variable: string;
  readonly setting: Setting<any>;
  /** Who needs it, for messages: `service "catalog"`. */
  readonly neededBy?: string;
}

export type SettingsOf<S extends SettingsSpec> = {
  readonly [K in keyof S]: S[K]["setting"] extends Setting<infer T> ? T : never;
};

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ReadOptions {
  /** Gets the value of each secret that is set, and the password of each address that has one. */
  readonly onSecret?: (value: string) => void;
}

/**
 * Throws StartError SETTINGS_INVALID that lists every problem; SETTING_WRONG when the specification itself is wrong.
 */
export function readSettings<S extends SettingsSpec>(
  spec: S,
  environment: Environment,
  options: ReadOptions = {},
): SettingsOf<S> {
  checkSpec(spec);
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(spec)) {
    const { variable, setting } = entry;
    const given = environment[variable];
    if (given === undefined || given === "") {
      values[name] = setting.fallback;
      if (setting.required) problems.push(missing(entry, spec, environment));
      continue;
    }
    const value = setting.parse(given);
    if (value === undefined) problems.push(wrong(entry, given));
    else if (setting.secret) for (const secret of secretsIn(given, value)) options.onSecret?.(secret);
    values[name] = value;
  }
  if (problems.length > 0) throw new StartError("SETTINGS_INVALID", problems);
  return values as SettingsOf<S>;
}

const shownLengthMax = 60;

function missing({ variable, setting, neededBy }: SpecEntry, spec: SettingsSpec, environment: Environment): string {
  const known = new Set(Object.values(spec).map((entry) => entry.variable));
  const meant = Object.keys(environment).find(
    (name) => !known.has(name) && environment[name] !== "" && likeness(name, variable) <= 2,
  );
  const hint = meant === undefined ? "" : ` ${meant} is set: perhaps a slip of the pen?`;
  const who = neededBy === undefined ? "" : ` for ${neededBy}`;
  return `${variable}: it is not set.${hint} It is ${setting.description}${who}; set it to ${setting.kind}, such as ${variable}=${setting.example}`;
}

function wrong({ variable, setting, neededBy }: SpecEntry, given: string): string {
  const cut = given.length > shownLengthMax ? `${given.slice(0, shownLengthMax)}…` : given;
  const shown = setting.secret ? "its value" : JSON.stringify(cut);
  const who = neededBy === undefined ? "" : ` for ${neededBy}`;
  return `${variable}: ${shown} is not ${setting.kind}. It is ${setting.description}${who}; write for example ${variable}=${setting.example}`;
}

/** The text itself, the items of a list, and the password of an address, as written and as meant. */
function secretsIn(given: string, value?: unknown): string[] {
  const items = Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  if (items.length > 0) return [given, ...items.flatMap((item) => secretsIn(item))];
  if (!URL.canParse(given)) return [given];
  const { password } = new URL(given);
  return password === "" ? [given] : [given, password, decode(password)];
}

function decode(password: string): string {
  try {
    return decodeURIComponent(password);
  } catch {
    return password;
  }
}

function checkSpec(spec: SettingsSpec): void {
  const problems: string[] = [];
  const names = new Map<string, string>();
  for (const [name, { variable }] of Object.entries(spec)) {
    if (!/^[A-Z][A-Z0-9_]*$/.test(variable)) {
      problems.push(`setting "${name}": variable ${JSON.stringify(variable)} is no name; write it like DATABASE_URL.`);
    }
    const other = names.get(variable);
    if (other !== undefined) {
      problems.push(`setting "${name}": ${variable} is the variable of "${other}" already; choose another.`);
    }
    names.set(variable, name);
  }
  if (problems.length > 0) throw new StartError("SETTING_WRONG", problems);
}

/** What there is to set, for documents and `plinth doctor`. Never a secret's value. */
export interface SettingDescription {
  readonly variable: string;
  readonly kind: string;
  readonly required: boolean;
  readonly secret: boolean;
  /** As text; null when there is none, or none that may be shown. */
  readonly default: string | null;
  readonly description: string;
  readonly example: string;
}

export function describeSettings(spec: SettingsSpec): readonly SettingDescription[] {
  return Object.values(spec).map(({ variable, setting }) => ({
    variable,
    kind: setting.kind,
    required: setting.required,
    secret: setting.secret,
    default: setting.fallback === undefined || setting.secret ? null : String(setting.fallback),
    description: setting.description,
    example: setting.example,
  }));
}
