/** Typed settings from the environment, read once at start; everything wrong is told at once. */
export { withEnvFile } from "./env-file.ts";
export type { NumberOptions, Setting, SettingOptions } from "./setting.ts";
export {
  addresses,
  counts,
  duration,
  flag,
  integer,
  list,
  namedUrls,
  oneOf,
  optional,
  originsByName,
  port,
  ratio,
  secret,
  size,
  text,
  url,
} from "./setting.ts";
export type { Environment, ReadOptions, SettingDescription, SettingsOf, SettingsSpec, SpecEntry } from "./settings.ts";
export { describeSettings, readSettings } from "./settings.ts";
