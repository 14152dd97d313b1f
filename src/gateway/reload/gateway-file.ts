import type { Json } from "../../base/index.ts";
import { parseDuration } from "../../base/index.ts";
import { locateJsonError } from "../json-error.ts";
import type { Mirroring } from "../proxy/mirror.ts";
import type { SplitPlan } from "../proxy/split.ts";
import type { MaintenancePlan } from "./maintenance.ts";

/**
 * What may change while a gateway runs, as a JSON file: where outside systems are, how requests are shared out, which are
 * copied, what plans allow, what is closed for maintenance. Never who may call: that is code.
 *
 *     {
 *       "revision": "2026-11-22 canary at 10 %",
 *       "upstreams": { "legacy": { "targets": [{ "url": "http://10.0.0.2:8080", "weight": 3 }] } },
 *       "splits": { "checkout": { "weights": { "stable": 90, "canary": 10 } } },
 *       "mirrors": { "/legacy/*": { "to": "shadow", "percent": 5 } },
 *       "plans": { "free": [{ "quota": 10, "window": "1m" }] },
 *       "maintenance": { "routes": ["/legacy/*"], "retryAfter": "60s" }
 *     }
 *
 * What it leaves out is as the code declares it. It is taken whole or not at all: each problem is told with its path, and
 * a name that nothing has is a problem.
 */
export interface GatewayFile {
  /** For people: shown in the log. */
  readonly revision: string | undefined;
  readonly upstreams: ReadonlyMap<string, readonly FileTarget[]>;
  /** Weights and rules each replace the code's as a whole; what is left out is the code's. */
  readonly splits: ReadonlyMap<string, Partial<SplitPlan>>;
  /** Null: none, whatever the code declares. */
  readonly mirrors: ReadonlyMap<string, Mirroring | null>;
  /** As in code; whoever knows what a plan is checks them. */
  readonly plans: Readonly<Record<string, Json>> | undefined;
  readonly maintenance: MaintenancePlan | undefined;
}

export interface FileTarget {
  readonly url: string;
  readonly weight?: number;
  readonly zone?: string;
}

export type ParsedGatewayFile =
  | { readonly file: GatewayFile; readonly problems?: undefined }
  | { readonly file?: undefined; readonly problems: readonly string[] };

/** Larger ones are no configuration. */
export const gatewayFileBytesMax = 1024 * 1024;

/** Reads the text of a file. Whether the names in it exist is for whoever knows the gateway (`reload/plan.ts`). */
export function parseGatewayFile(text: string): ParsedGatewayFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const { line, column, expected } = locateJsonError(text);
    return { problems: [`line ${line}, column ${column}: this is no JSON; expected ${expected}`] };
  }
  const reader = new Reader();
  const file = readFile(reader, value);
  return reader.problems.length > 0 ? { problems: reader.problems } : { file };
}

const sections = ["revision", "upstreams", "splits", "mirrors", "plans", "maintenance"];

function readFile(reader: Reader, value: unknown): GatewayFile {
  const root = reader.object("", value, sections);
  return {
    revision: reader.optionalText("revision", root.revision),
    upstreams: reader.map("upstreams", root.upstreams, (at, each) => readTargets(reader, at, each)),
    splits: reader.map("splits", root.splits, (at, each) => readSplit(reader, at, each)),
    mirrors: reader.map("mirrors", root.mirrors, (at, each) => readMirror(reader, at, each)),
    plans: root.plans === undefined ? undefined : (reader.object("plans", root.plans) as Record<string, Json>),
    maintenance: root.maintenance === undefined ? undefined : readMaintenance(reader, root.maintenance),
  };
}

function readTargets(reader: Reader, at: string, value: unknown): readonly FileTarget[] {
  const { targets } = reader.object(at, value, ["targets"]);
  const list = reader.list(`${at}.targets`, targets, (where, each) => {
    const given = typeof each === "string" ? { url: each } : reader.object(where, each, ["url", "weight", "zone"]);
    const url = reader.text(`${where}.url`, given.url);
    if (!isOrigin(url))
      reader.wrong(`${where}.url`, `${JSON.stringify(url)} is no address such as "http://10.0.0.2:8080"`);
    return {
      url,
      ...(given.weight !== undefined && { weight: reader.number(`${where}.weight`, given.weight, 1, 1000) }),
      ...(given.zone !== undefined && { zone: reader.text(`${where}.zone`, given.zone) }),
    };
  });
  if (list.length === 0) reader.wrong(`${at}.targets`, "name at least one");
  return list;
}

function isOrigin(text: string): boolean {
  if (!/^https?:\/\/[^/?#@\s]+$/.test(text)) return false;
  return URL.canParse(text);
}

function readSplit(reader: Reader, at: string, value: unknown): Partial<SplitPlan> {
  const { weights, match } = reader.object(at, value, ["weights", "match"]);
  return {
    ...(weights !== undefined && { weights: readWeights(reader, `${at}.weights`, weights) }),
    ...(match !== undefined && { match: readMatch(reader, `${at}.match`, match) }),
  };
}

function readWeights(reader: Reader, at: string, value: unknown): SplitPlan["weights"] {
  return Object.fromEntries(reader.map(at, value, (where, each) => reader.number(where, each, 0, 1_000_000)));
}

function readMatch(reader: Reader, at: string, value: unknown): SplitPlan["match"] {
  return reader.list(at, value, (where, each) => {
    const rule = reader.object(where, each, ["header", "cookie", "value", "to"]);
    return {
      ...(rule.header !== undefined && { header: reader.text(`${where}.header`, rule.header) }),
      ...(rule.cookie !== undefined && { cookie: reader.text(`${where}.cookie`, rule.cookie) }),
      ...(rule.value !== undefined && { value: reader.text(`${where}.value`, rule.value) }),
      to: reader.text(`${where}.to`, rule.to),
    };
  });
}

function readMirror(reader: Reader, at: string, value: unknown): Mirroring | null {
  if (value === null) return null;
  const given = reader.object(at, value, ["to", "percent"]);
  return { to: reader.text(`${at}.to`, given.to), percent: reader.number(`${at}.percent`, given.percent, 0, 100) };
}

const retryAfterDefaultMs = 60_000;

function readMaintenance(reader: Reader, value: unknown): MaintenancePlan {
  const given = reader.object("maintenance", value, ["routes", "retryAfter"]);
  const { routes = "all", retryAfter } = given;
  const ms = retryAfter === undefined ? retryAfterDefaultMs : parseDuration(retryAfter);
  if (ms === undefined || ms < 1000) {
    reader.wrong(
      "maintenance.retryAfter",
      `${JSON.stringify(retryAfter)} is no time of a second or more, such as "60s"`,
    );
  }
  return {
    routes: routes === "all" ? "all" : reader.list("maintenance.routes", routes, (at, each) => reader.text(at, each)),
    retryAfterMs: ms ?? retryAfterDefaultMs,
  };
}

/** Reads values and notes what is wrong with each, by its path. */
class Reader {
  readonly problems: string[] = [];

  wrong(at: string, what: string): void {
    this.problems.push(at === "" ? what : `${at}: ${what}`);
  }

  object(at: string, value: unknown, known?: readonly string[]): Record<string, unknown> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.wrong(at, `${at === "" ? "the file is" : "this is"} no object`);
      return {};
    }
    for (const name of Object.keys(value)) {
      if (known && !known.includes(name)) {
        this.wrong(placeIn(at, name), `there is no such field here; there are ${known.join(", ")}`);
      }
    }
    return { ...value };
  }

  map<T>(at: string, value: unknown, read: (at: string, each: unknown) => T): ReadonlyMap<string, T> {
    if (value === undefined) return new Map();
    return new Map(Object.entries(this.object(at, value)).map(([name, each]) => [name, read(placeIn(at, name), each)]));
  }

  list<T>(at: string, value: unknown, read: (at: string, each: unknown) => T): readonly T[] {
    if (!Array.isArray(value)) {
      this.wrong(at, "this is no list");
      return [];
    }
    return value.map((each, i) => read(`${at}[${i}]`, each));
  }

  text(at: string, value: unknown): string {
    if (typeof value === "string" && value !== "" && value.length <= 1024) return value;
    this.wrong(at, "this is no text of 1 to 1024 characters");
    return "";
  }

  optionalText(at: string, value: unknown): string | undefined {
    return value === undefined ? undefined : this.text(at, value);
  }

  number(at: string, value: unknown, min: number, max: number): number {
    if (typeof value === "number" && value >= min && value <= max) return value;
    this.wrong(at, `${JSON.stringify(value)} is no number from ${min} to ${max}`);
    return min;
  }
}

/** `splits.checkout`, and `mirrors["/legacy/*"]` for a name that is no word. */
export function placeIn(at: string, name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(name)) return `${at}[${JSON.stringify(name)}]`;
  return at === "" ? name : `${at}.${name}`;
}
