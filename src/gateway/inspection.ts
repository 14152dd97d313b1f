import type { Clock, Size } from "../base/index.ts";
import { parseSize } from "../base/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";
import { HttpError } from "../wire/index.ts";
import type { CsrfOptions } from "./csrf.ts";
import { compileCsrf } from "./csrf.ts";
import { wrongGateway } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { InspectedPart, InspectionRule } from "./inspection-rules.ts";
import { anySign, defaultRules } from "./inspection-rules.ts";
import type { Step } from "./step.ts";
import { composeSteps } from "./step.ts";

/**
 * Looks at requests for shapes of attacks, and reports or refuses them (403). A second line: what keeps an injection out is
 * that methods have types and handlers pass values, not text. Worth having in front of systems that one cannot change.
 *
 * The path and the query are looked at as they came and decoded, twice at most, before anybody is identified. A body is
 * looked at only up to `body`, when it is JSON. Headers are not looked at, except by `check`.
 *
 * Begin with "observe", read what `plinth_gateway_inspected_total` and the log say of ordinary traffic, take out what does
 * not suit (`without`), and only then "refuse".
 */
export interface InspectOptions {
  /** "observe" reports and lets pass, "refuse" answers 403. */
  readonly mode: "observe" | "refuse";
  /** Default rules to leave out, by name: path-traversal, nul, line-break, sql, script, command, template, prototype, encoding. */
  readonly without?: readonly string[];
  /** Rules of one's own. Whoever writes a pattern sees to it that it takes linear time. */
  readonly rules?: readonly InspectionRule[];
  /** JSON bodies of methods up to this size are looked at; others stream by. Default: none. At most 64 KiB. */
  readonly body?: Size;
  /** One's own look at the head of a request: names what is wrong with it, or undefined. */
  readonly check?: (request: InspectedRequest) => string | undefined;
}

export interface InspectedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Where it comes from, as far as that is known for certain. */
  readonly address: string;
}

export interface Inspection {
  readonly step: Step;
  /** Undefined where bodies are not looked at. */
  readonly body: ((exchange: Exchange, body: Buffer) => void) | undefined;
}

/** What every request passes, whatever it is for. */
export interface Protection {
  readonly step: Step | undefined;
  readonly body: Inspection["body"];
}

export function compileProtection(
  options: {
    readonly csrf?: CsrfOptions | undefined;
    readonly inspect?: InspectOptions | undefined;
    readonly log: Logger;
    readonly metrics?: Metrics;
  },
  clock: Clock,
): Protection {
  const { csrf, inspect, log, metrics } = options;
  const inspection = compileInspection(inspect, { clock, log, metrics });
  const steps = [inspection?.step, compileCsrf(csrf)].filter((step) => step !== undefined);
  return { step: steps.length > 0 ? composeSteps(steps) : undefined, body: inspection?.body };
}

/** REQUEST_SUSPICIOUS: it has the shape of an attack; the rule is named, so that a false alarm can be told from a true one. */
const requestSuspicious = (rule: string): HttpError =>
  new HttpError(403, "permission_denied", `The request looks like an attack (${rule}).`, {
    reason: "REQUEST_SUSPICIOUS",
    details: { rule },
  });

const bodyBytesMax = 64 * 1024;
/** Lines in the log, at most so many in so long: whoever attacks must not fill the disk. */
const linesMax = 20;
const linesWindowMs = 10_000;

/** Undefined where nothing is declared. Throws StartError INSPECT_INVALID. */
export function compileInspection(
  options: InspectOptions | undefined,
  parts: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics | undefined },
): Inspection | undefined {
  if (!options) return undefined;
  const bodyBytes = checkInspect(options);
  const without = new Set(options.without);
  const rules = [...defaultRules.filter(({ name }) => !without.has(name)), ...(options.rules ?? [])];
  const own = (options.rules ?? []).length > 0;
  const rulesOf = (part: InspectedPart) => rules.filter((rule) => rule.in.includes(part));
  const [pathRules, queryRules, bodyRules] = [rulesOf("path"), rulesOf("query"), rulesOf("body")];
  const outcome = options.mode === "refuse" ? "refused" : "observed";
  const counted = parts.metrics?.counter(
    "plinth_gateway_inspected_total",
    "Requests that have the shape of an attack, by the rule that says so.",
    ["rule", "outcome"],
  );
  let windowAt = 0;
  let lineCount = 0;
  const report = (exchange: Exchange, rule: string): void => {
    counted?.with({ rule, outcome }).add();
    const now = parts.clock.now();
    if (now - windowAt >= linesWindowMs) {
      windowAt = now;
      lineCount = 0;
    }
    // Not what was sent: it is the attacker's text, and may hold a user's secret as well.
    if (lineCount++ < linesMax) {
      parts.log.warn(
        { rule, outcome, route: exchange.route, remote: exchange.remote, trace: exchange.span },
        "a request has the shape of an attack",
      );
    }
    if (outcome === "refused") throw requestSuspicious(rule);
  };
  const look = (text: string, against: readonly InspectionRule[]): string | undefined => {
    if (text === "" || (!own && !anySign.test(text))) return undefined;
    return findIn(text, against);
  };

  return {
    step(exchange, next) {
      const rule =
        look(exchange.path, pathRules) ?? look(exchange.query, queryRules) ?? options.check?.(inspected(exchange));
      if (rule !== undefined) report(exchange, rule);
      next(exchange);
    },
    body:
      bodyBytes === undefined
        ? undefined
        : (exchange, body) => {
            if (body.length > bodyBytes || !isJson(exchange.headers["content-type"])) return;
            const text = body.toString("utf8");
            const rule = anySign.test(text) || own ? findIn(unescaped(text), bodyRules) : undefined;
            if (rule !== undefined) report(exchange, rule);
          },
  };
}

function inspected(exchange: Exchange): InspectedRequest {
  const { method, path, query, headers, remote } = exchange;
  return { method, path, query, headers, address: remote };
}

/** As it came, and decoded once and twice: what a reader behind us may see. */
function findIn(text: string, rules: readonly InspectionRule[]): string | undefined {
  let form = text;
  for (let i = 0; i < 3; i++) {
    for (const { name, pattern } of rules) if (pattern.test(form)) return name;
    const next = decoded(form);
    if (next === form) return undefined;
    form = next;
  }
  return undefined;
}

/** What cannot be decoded stays: somebody may decode the rest all the same. */
function decoded(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  return text
    .replaceAll("+", " ")
    .replace(/%([0-7][0-9a-f])/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** `\u003cscript` is a script as well. */
function unescaped(text: string): string {
  if (!text.includes("\\u00")) return text;
  return text.replace(/\\u00([0-7][0-9a-f])/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^[\w.+-]+\/(?:[\w.+-]+\+)?json\b/i.test(contentType);
}

function checkInspect({ mode, without = [], rules = [], body }: InspectOptions): number | undefined {
  const problems: string[] = [];
  if (mode !== "observe" && mode !== "refuse") problems.push('gateway: inspect.mode: write "observe" or "refuse".');
  const known = new Set(defaultRules.map(({ name }) => name));
  for (const name of without) {
    if (!known.has(name)) {
      problems.push(
        `gateway: inspect.without: there is no rule ${JSON.stringify(name)}; there are ${[...known].join(", ")}.`,
      );
    }
  }
  for (const { name, pattern, in: parts } of rules) {
    if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) {
      problems.push(`gateway: inspect.rules: ${JSON.stringify(name)}: a name has small letters, digits and dashes.`);
    }
    if (!(pattern instanceof RegExp) || pattern.global || pattern.sticky) {
      problems.push(`gateway: inspect.rules: ${name}: its pattern is a RegExp without the flags g and y.`);
    }
    if (!Array.isArray(parts) || parts.length === 0) {
      problems.push(`gateway: inspect.rules: ${name}: say what it looks at, such as in: ["path", "query"].`);
    }
  }
  const bytes = body === undefined ? undefined : parseSize(body);
  if (body !== undefined && (bytes === undefined || bytes < 1 || bytes > bodyBytesMax)) {
    problems.push('gateway: inspect.body: write a size up to "64kb".');
  }
  if (problems.length > 0) throw wrongGateway("INSPECT_INVALID", problems);
  return bytes;
}
