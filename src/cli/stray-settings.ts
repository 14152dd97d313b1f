import type { App } from "../app/index.ts";
import { describeProcessSettings } from "../app/index.ts";
import type { Environment } from "../config/index.ts";
import { nearest } from "./nearest.ts";
import { parentVariable, standbyVariable } from "./parent.ts";

/** A variable that looks like one of ours and is none: nothing reads it, and whoever set it thinks that something does. */
export interface StraySetting {
  readonly variable: string;
  /** The one that was probably meant. */
  readonly meant: string | undefined;
}

/** Read elsewhere than by the settings of a process. */
const others = ["PLINTH_CRASH_POINT", parentVariable, standbyVariable];

/** For the tests of Plinth itself, and the engines they use. */
const testing = /^PLINTH_(?:TEST|ENGINES|POSTGRES|REDIS|PGBOUNCER)_/;

export function straySettings(environment: Environment, app: App | undefined): StraySetting[] {
  const known = new Set([
    ...describeProcessSettings().map(({ variable }) => variable),
    ...others,
    ...(app ? settingsOf(app) : []),
  ]);
  return Object.keys(environment)
    .filter((name) => /^PLINTH_/.test(name) && !known.has(name) && !testing.test(name))
    .sort()
    .map((variable) => ({ variable, meant: nearest(variable, known) }));
}

export function tellStray({ variable, meant }: StraySetting): string {
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  return `${variable}: it is set, and nothing reads it${hint}`;
}

function settingsOf({ services }: App): string[] {
  return services.flatMap((service) =>
    service.kind === "external"
      ? []
      : Object.values(service.needs).flatMap((need) => (need.kind === "setting" ? [need.name] : [])),
  );
}
