import type { Model, ModelMethod } from "../../app/index.ts";
import type { Json, JsonSchema } from "../../base/index.ts";
import { error, isErrorCode } from "../../base/index.ts";
import { httpStatusOf } from "../../wire/index.ts";
import { limitAnswer } from "./limit-answer.ts";

/**
 * The Model as an OpenAPI 3.1 document (openapis.org, 3.1.1; schemas are JSON Schema 2020-12).
 *
 * Every method with a route becomes an operation. Every answer that the platform can give is told, the errors of the edge
 * included, as `application/problem+json`. Our own facts travel as `x-plinth-*` members.
 */
type Node = { [key: string]: Json };

export function toOpenApi(model: Model): Node {
  const paths: { [path: string]: Node } = {};
  const tags: Node[] = [];
  const newest = newestVersions(model);
  for (const service of model.services) {
    const methods = service.methods.filter((method) => method.http);
    if (methods.length === 0) continue;
    tags.push({ name: service.name });
    for (const method of methods) {
      if (!method.http) continue;
      for (const [i, served] of method.paths.entries()) {
        const verb = method.http.verb.toLowerCase();
        if (newest.get(`${verb} ${served}`) !== newestOf(method)) continue;
        const path = served.replaceAll(/:([^/]+)/g, "{$1}").replace("*", "{wildcard}");
        const id = `${service.name}.${method.name}${i === 0 ? "" : `.${i + 1}`}`;
        const operation = toOperation(service.name, method, path, model);
        paths[path] = { ...paths[path], [verb]: { ...operation, operationId: id } };
      }
    }
  }
  return {
    openapi: "3.1.1",
    info: { title: model.name, version: model.version },
    servers: [{ url: "/" }],
    tags,
    paths,
    components: {
      schemas: { Problem: problemSchema },
      securitySchemes: toSecuritySchemes(model.identity),
    },
  };
}

/** By verb and path. Of several versions at one path, told apart by media types, the document tells the newest. */
function newestVersions(model: Model): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  for (const method of model.services.flatMap(({ methods }) => methods)) {
    for (const path of method.paths) {
      const place = `${method.http?.verb.toLowerCase()} ${path}`;
      newest.set(place, Math.max(newest.get(place) ?? 0, newestOf(method)));
    }
  }
  return newest;
}

function newestOf({ versions }: ModelMethod): number {
  return versions.at(-1) ?? 0;
}

/** A token, or in its place an API key where the app takes them. */
function toSecuritySchemes({ apiKeys }: Model["identity"]): Node {
  return {
    token: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
    ...(apiKeys && { apiKey: { type: "apiKey", in: "header", name: apiKeys.header } }),
  };
}

function toOperation(service: string, method: ModelMethod, path: string, { identity, limits }: Model): Node {
  const { apiKeys } = identity;
  const parameters = [...toParameters(method, path), ...toKeyParameter(method)];
  const body = toBody(method);
  return {
    operationId: `${service}.${method.name}`,
    tags: [service],
    ...(method.summary !== null && { summary: method.summary }),
    ...(method.description !== null && { description: method.description }),
    ...(method.deprecated && { deprecated: true, "x-plinth-deprecated": { ...method.deprecated } }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: body }),
    responses: toResponses(method, limits),
    security:
      method.access === "public"
        ? []
        : [{ token: [...method.scopes] }, ...(apiKeys ? [{ apiKey: [...method.scopes] }] : [])],
    "x-plinth-idempotent": method.idempotent,
    ...(method.idempotencyKey && { "x-plinth-idempotency-key": { ...method.idempotencyKey } }),
    ...(method.deadlineMs !== null && { "x-plinth-deadline-ms": method.deadlineMs }),
    ...(method.criticality !== "critical" && { "x-plinth-criticality": method.criticality }),
    ...(method.slo && { "x-plinth-slo": method.slo as Node }),
  };
}

const withoutBody = new Set(["GET", "HEAD", "DELETE"]);

function fieldsOf(method: ModelMethod): readonly (readonly [name: string, schema: JsonSchema])[] {
  return Object.entries(method.request?.properties ?? {});
}

function toParameters(method: ModelMethod, path: string): Node[] {
  const { verb, params } = method.http ?? { verb: "", params: [] as string[] };
  const required = new Set(method.request?.required ?? []);
  const fields = new Map(fieldsOf(method));
  const inPath = params.map((name): Node => {
    const known = name === "*" ? "wildcard" : name;
    return { name: known, in: "path", required: true, schema: (fields.get(name) ?? { type: "string" }) as Node };
  });
  if (method.kind === "raw" || !withoutBody.has(verb)) return inPath;
  const inQuery = [...fields]
    .filter(([name]) => !path.includes(`{${name}}`))
    .map(
      ([name, schema]): Node => ({
        name,
        in: "query",
        required: required.has(name),
        ...(typeof schema.description === "string" && { description: schema.description }),
        schema: schema as Node,
      }),
    );
  return [...inPath, ...inQuery];
}

/** draft-ietf-httpapi-idempotency-key-header: the header, and how long a key is remembered. */
function toKeyParameter({ idempotencyKey }: ModelMethod): Node[] {
  if (!idempotencyKey) return [];
  const { required, keepMs } = idempotencyKey;
  return [
    {
      name: "Idempotency-Key",
      in: "header",
      required,
      description:
        "A quoted text of your own, new for each request and hard to guess. A repeat with the same key gets the first " +
        'answer, marked "Idempotency-Replayed: true", and changes nothing; with another body it is refused (422), while ' +
        `the first is worked on as well (409). Remembered for ${spanOf(keepMs)}.`,
      schema: { type: "string", pattern: '^"[ -~]{1,255}"$' },
      example: '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
    },
  ];
}

/** `86400000` → "24 hours". */
function spanOf(ms: number): string {
  if (ms % 3_600_000 === 0 && ms <= 72 * 3_600_000) return `${ms / 3_600_000} hours`;
  return ms % 86_400_000 === 0 ? `${ms / 86_400_000} days` : `${Math.round(ms / 1000)} seconds`;
}

function toBody(method: ModelMethod): Node | undefined {
  const { verb, params } = method.http ?? { verb: "GET", params: [] as string[] };
  if (withoutBody.has(verb)) return undefined;
  if (method.kind === "raw") return { content: { "*/*": { schema: {} } } };
  const request = method.request;
  if (!request) return undefined;
  const properties = Object.fromEntries(fieldsOf(method).filter(([name]) => !params.includes(name)));
  if (Object.keys(properties).length === 0 && request.properties) return undefined;
  const required = (request.required ?? []).filter((name) => !params.includes(name));
  const schema = request.properties ? { ...request, properties, ...(request.required && { required }) } : request;
  return { required: required.length > 0, content: { "application/json": { schema: schema as Node } } };
}

function toResponses(method: ModelMethod, limits: Model["limits"]): Node {
  const responses: { [status: string]: Node } = { [method.status]: toSuccess(method) };
  const statuses = new Map<number, string[]>();
  const note = (status: number, text: string) => statuses.set(status, [...(statuses.get(status) ?? []), text]);
  for (const { reason, code } of method.errors) note(statusOf(code, reason), reason);
  note(400, "malformed request");
  if (method.kind !== "raw") note(422, "VALIDATION_FAILED");
  if (method.access !== "public") note(401, "no valid token");
  if (method.scopes.length > 0) note(403, `scope ${method.scopes.join(" ")} is missing`);
  if (method.roles.length > 0) note(403, `role ${method.roles.join(" or ")} is missing`);
  if (method.object?.resource) note(404, `no ${method.object.resource}, or none that this caller may use`);
  else if (method.object) note(403, "not for this caller");
  const limited = limitAnswer(method, limits);
  if (limited) note(429, `used up: ${limited.names}`);
  for (const [status, reasons] of [...statuses].sort(([a], [b]) => a - b)) {
    responses[status] = { description: reasons.join(", "), content: problemContent };
  }
  if (limited) responses[429] = { ...responses[429], headers: limited.headers };
  responses.default = { description: "Any other problem", content: problemContent };
  return responses;
}

function toSuccess(method: ModelMethod): Node {
  if (method.kind === "raw") return { description: "As the method answers", content: { "*/*": { schema: {} } } };
  const schema = method.response as Node | null;
  if (!schema) return { description: "Done" };
  if (method.kind === "stream") {
    const description = "One item a line (NDJSON), or one an event (server-sent events)";
    return { description, content: { "application/x-ndjson": { schema }, "text/event-stream": { schema } } };
  }
  return { description: "The answer", content: { "application/json": { schema } } };
}

function statusOf(code: string, reason: string): number {
  return isErrorCode(code) ? httpStatusOf(error(code, "", { reason })) : 500;
}

const problemContent: Node = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };

/** RFC 9457. */
const problemSchema: Node = {
  type: "object",
  required: ["type", "title", "status"],
  properties: {
    type: { type: "string", format: "uri-reference" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "For people." },
    reason: { type: "string", description: "For programs: stable, in capitals." },
    traceId: { type: "string" },
    violations: {
      type: "array",
      items: {
        type: "object",
        properties: { pointer: { type: "string" }, message: { type: "string" }, keyword: { type: "string" } },
      },
    },
  },
};
