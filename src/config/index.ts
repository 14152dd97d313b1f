/** Typed settings from the environment, read once at start; everything wrong is told at once. */
export { withEnvFile } from "./env-file.ts";
export type { Setting, SettingOptions } from "./setting.ts";
export {
  addresses,
  duration,
  flag,
  integer,
  oneOf,
  optional,
  port,
  ratio,
  secret,
  size,
  text,
  url,
} from "./setting.ts";
export type { Environment, SettingDescription, SettingsOf, SettingsSpec } from "./settings.ts";
export { describeSettings, readSettings } from "./settings.ts";
