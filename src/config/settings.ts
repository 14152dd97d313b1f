import { StartError } from "../base/index.ts";
import type { Setting } from "./setting.ts";

/**
 * Settings come from the environment, are read once at start, and are typed from then on.
 *
 * Promises: everything that is missing or wrong is told at once, each with the variable, what was expected, an example
 * and what it is for; the value of a secret appears nowhere. An empty variable counts as not set, as most deployments
 * mean it. Not promised: reading again while the process runs.
 */
export type SettingsSpec = Readonly<Record<string, { readonly variable: string; readonly setting: Setting<any> }>>;

export type SettingsOf<S extends SettingsSpec> = {
  readonly [K in keyof S]: S[K]["setting"] extends Setting<infer T> ? T : never;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws StartError SETTINGS_INVALID that lists every problem. */
export function readSettings<S extends SettingsSpec>(spec: S, environment: Environment): SettingsOf<S> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, { variable, setting }] of Object.entries(spec)) {
    const given = environment[variable];
    if (given === undefined || given === "") {
      values[name] = setting.fallback;
      if (setting.required) {
        problems.push(
          `${variable}: it is not set. It is ${setting.description}; set it to ${setting.kind}, such as ${variable}=${setting.example}`,
        );
      }
      continue;
    }
    const value = setting.parse(given);
    if (value === undefined) {
      const shown = setting.secret ? "its value" : JSON.stringify(given);
      problems.push(
        `${variable}: ${shown} is not ${setting.kind}. It is ${setting.description}; write for example ${variable}=${setting.example}`,
      );
    }
    values[name] = value;
  }
  if (problems.length > 0) throw new StartError("SETTINGS_INVALID", problems);
  return values as SettingsOf<S>;
}

/** What there is to set, for documents and `plinth doctor`. Never a secret's value. */
export interface SettingDescription {
  readonly variable: string;
  readonly kind: string;
  readonly required: boolean;
  readonly default: string | null;
  readonly description: string;
}

export function describeSettings(spec: SettingsSpec): readonly SettingDescription[] {
  return Object.values(spec).map(({ variable, setting }) => ({
    variable,
    kind: setting.kind,
    required: setting.required,
    default: setting.fallback === undefined || setting.secret ? null : String(setting.fallback),
    description: setting.description,
  }));
}
