import type { Json } from "../../base/index.ts";
import type { UpstreamOptions } from "../../upstream/index.ts";
import type { Mirroring } from "../proxy/mirror.ts";
import { checkMirroring } from "../proxy/mirror.ts";
import type { OutsideRoute } from "../proxy/route.ts";
import { routeName } from "../proxy/route.ts";
import type { SplitOptions, SplitPlan } from "../proxy/split.ts";
import { checkSplit } from "../proxy/split.ts";
import type { GatewayFile } from "./gateway-file.ts";
import { placeIn } from "./gateway-file.ts";

/** What the code declares, as far as a file may change it. */
export interface Declared {
  readonly upstreams: Readonly<Record<string, UpstreamOptions>>;
  readonly splits: Readonly<Record<string, SplitOptions>>;
  readonly routes: readonly OutsideRoute[];
  /** Names that maintenance may close, beside those of routes: services and methods. */
  readonly names: readonly string[];
}

/** What a gateway does when a file has been taken: the code's word wherever the file says nothing. */
export interface ReloadPlan {
  readonly upstreams: ReadonlyMap<string, UpstreamOptions>;
  readonly splits: ReadonlyMap<string, SplitPlan>;
  readonly mirrors: ReadonlyMap<string, Mirroring | undefined>;
  readonly plans: Readonly<Record<string, Json>> | undefined;
  readonly maintenance: GatewayFile["maintenance"];
}

/** Puts a file over what the code declares. Adds what does not fit together to `problems`; the plan is not to be used then. */
export function planReload(file: GatewayFile, declared: Declared, problems: string[]): ReloadPlan {
  const { upstreams, splits, routes } = declared;
  const upstreamNames = Object.keys(upstreams);
  const routeNames = routes.map((route) => routeName(route));
  const mirrorable = routes.filter(({ redirect }) => !redirect).map((route) => routeName(route));
  requireNames("upstreams", file.upstreams.keys(), upstreamNames, problems);
  requireNames("splits", file.splits.keys(), Object.keys(splits), problems);
  requireNames("mirrors", file.mirrors.keys(), mirrorable, problems);
  for (const [name, given] of file.splits) {
    const split = splits[name];
    if (split) checkSplit(placeIn("splits", name), split.between, planOf(split, given), problems);
  }
  for (const [name, mirroring] of file.mirrors) {
    if (mirroring) checkMirroring(placeIn("mirrors", name), mirroring, upstreamNames, problems);
  }
  if (file.maintenance && file.maintenance.routes !== "all") {
    requireNames("maintenance.routes", file.maintenance.routes, [...routeNames, ...declared.names], problems);
  }
  return {
    upstreams: new Map(
      Object.entries(upstreams).map(([name, options]) => {
        const targets = file.upstreams.get(name);
        return [name, targets ? { ...options, targets } : options];
      }),
    ),
    splits: new Map(Object.entries(splits).map(([name, split]) => [name, planOf(split, file.splits.get(name))])),
    mirrors: new Map(
      routes
        .filter(({ redirect }) => !redirect)
        .map((route) => {
          const given = file.mirrors.get(routeName(route));
          return [routeName(route), given === undefined ? route.mirror : (given ?? undefined)];
        }),
    ),
    plans: file.plans,
    maintenance: file.maintenance,
  };
}

function planOf({ weights, match }: SplitOptions, given: Partial<SplitPlan> | undefined): SplitPlan {
  return { weights, match, ...given };
}

function requireNames(at: string, names: Iterable<string>, known: readonly string[], problems: string[]): void {
  for (const name of names) {
    if (known.includes(name)) continue;
    const there = known.length === 0 ? "the app declares none" : `there are ${known.slice(0, 20).join(", ")}`;
    problems.push(`${at}: there is no ${JSON.stringify(name)}; ${there}`);
  }
}
