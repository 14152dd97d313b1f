import type { Model, ModelMethod, ModelService } from "../../app/index.ts";
import { accessWords } from "../../app/index.ts";
import type { JsonSchema } from "../../base/index.ts";
import { exampleOf } from "./example.ts";

/**
 * One HTML page, complete in itself: no script, no font, no picture, no request to anywhere. Everything from the Model
 * is escaped. Works by keyboard and reads well aloud: headings, tables with headers, links with names.
 */
export function toReferencePage(model: Model): string {
  const services = model.services.filter((service) => service.methods.some((method) => method.http));
  const navigation = services.map(
    (service) => html`
      <li><a href="#${service.name}">${service.name}</a>
        <ul>${raw(
          service.methods
            .filter((method) => method.http)
            .map((method) => navigationItem(service, method))
            .join(""),
        )}</ul>
      </li>`,
  );
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${model.name} API ${model.version}</title>
<style>${raw(style)}</style>
</head>
<body>
<nav aria-label="Methods"><h1>${model.name} <small>${model.version}</small></h1><ul>${raw(navigation.join(""))}</ul>
<p><a href="/openapi.json">OpenAPI document</a></p></nav>
<main>${raw(services.map(serviceSection).join(""))}</main>
</body>
</html>
`;
}

function navigationItem(service: ModelService, method: ModelMethod): string {
  return html`<li><a href="#${service.name}.${method.name}">${method.name}</a></li>`;
}

function serviceSection(service: ModelService): string {
  const methods = service.methods.filter((method) => method.http).map((method) => methodSection(service, method));
  return html`<section id="${service.name}"><h2>${service.name}</h2>${raw(methods.join(""))}</section>`;
}

function methodSection(service: ModelService, method: ModelMethod): string {
  const { http } = method;
  if (!http) return "";
  return html`
<article id="${service.name}.${method.name}">
<h3><code class="verb">${http.verb}</code> <code>${http.path}</code></h3>
<p>${method.summary ?? method.name}${method.description === null ? "" : `. ${method.description}`}</p>
<p class="access">${accessText(method)}${method.kind === "stream" ? " · a stream: NDJSON, or server-sent events by Accept" : ""}</p>
${raw(fieldTable("Request", method.request, http.params))}
${raw(fieldTable(`Answer ${method.status}`, method.response, []))}
${raw(errorTable(method))}
<pre aria-label="Example">${curlOf(method)}</pre>
</article>`;
}

function accessText(method: ModelMethod): string {
  if (method.access === "public") return "Open to anyone";
  const words = accessWords(method);
  return words === "authenticated" ? "Needs a token" : `Needs a token: ${words}`;
}

function fieldTable(caption: string, schema: JsonSchema | null, params: readonly string[]): string {
  const rows = schema === null ? [] : rowsOf(schema, "", params, 0);
  if (rows.length === 0) return "";
  return html`<table><caption>${caption}</caption>
<thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>${raw(rows.join(""))}</tbody></table>`;
}

const depthMax = 3;

function rowsOf(schema: JsonSchema, prefix: string, params: readonly string[], depth: number): string[] {
  const inner = schema.type === "array" && typeof schema.items === "object" ? schema.items : schema;
  const required = new Set(inner.required ?? []);
  return Object.entries(inner.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const marks = [
      params.includes(name) && depth === 0 ? "in the path" : "",
      required.has(name) ? "" : "optional",
    ].filter(Boolean);
    const row = html`<tr><th scope="row"><code>${path}</code></th><td>${typeText(field)}</td><td>${[...marks, limitsText(field), String(field.description ?? "")].filter(Boolean).join("; ")}</td></tr>`;
    const nested = field.type === "array" ? `${path}[].` : `${path}.`;
    return depth < depthMax ? [row, ...rowsOf(field, nested, [], depth + 1)] : [row];
  });
}

function typeText(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.map(typeText).join(" | ");
  if (schema.type === "array") return `${typeof schema.items === "object" ? typeText(schema.items) : "any"}[]`;
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : String(schema.type ?? "any");
  return schema.format === undefined ? type : `${type} (${schema.format})`;
}

const limitWords: Readonly<Record<string, string>> = {
  minimum: "at least",
  maximum: "at most",
  minLength: "characters at least",
  maxLength: "characters at most",
  minItems: "items at least",
  maxItems: "items at most",
  pattern: "matches",
  default: "default",
};

function limitsText(schema: JsonSchema): string {
  return Object.entries(limitWords)
    .filter(([keyword]) => schema[keyword] !== undefined)
    .map(([keyword, words]) => `${words} ${String(schema[keyword])}`)
    .join(", ");
}

function errorTable(method: ModelMethod): string {
  if (method.errors.length === 0) return "";
  const rows = method.errors.map(
    ({ reason, code }) => html`<tr><th scope="row"><code>${reason}</code></th><td>${code}</td></tr>`,
  );
  return html`<table><caption>Errors</caption><thead><tr><th scope="col">Reason</th><th scope="col">Code</th></tr></thead><tbody>${raw(rows.join(""))}</tbody></table>`;
}

/** A command that can be pasted where `$API` is the address of the gateway, and `$TOKEN` a token. */
function curlOf(method: ModelMethod): string {
  const { verb, path } = method.http ?? { verb: "GET", path: "/" };
  const request = (method.request ? exampleOf(method.request) : {}) as Record<string, unknown>;
  const filled = path.replaceAll(/:([^/]+)/g, (_, name: string) => encodeURIComponent(String(request[name] ?? name)));
  const rest = Object.entries(request).filter(([name]) => !method.http?.params.includes(name));
  const required = new Set(method.request?.required ?? []);
  const query = new URLSearchParams(
    rest.filter(([name]) => required.has(name)).map(([name, value]): [string, string] => [name, String(value)]),
  );
  const lines = [`curl${verb === "GET" ? "" : ` -X ${verb}`}`];
  if (method.access !== "public") lines.push(`-H "Authorization: Bearer $TOKEN"`);
  const withoutBody = verb === "GET" || verb === "HEAD" || verb === "DELETE";
  if (!withoutBody && rest.length > 0) {
    lines.push(
      `-H "Content-Type: application/json"`,
      `-d '${JSON.stringify(Object.fromEntries(rest)).replaceAll("'", "'\\''")}'`,
    );
  }
  const suffix = withoutBody && query.size > 0 ? `?${query}` : "";
  return `${lines.join(" ")} "$API${filled}${suffix}"`;
}

class Safe {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function raw(text: string): Safe {
  return new Safe(text);
}

/** Escapes everything but what `raw` made. */
function html(strings: TemplateStringsArray, ...values: readonly (string | number | Safe)[]): string {
  return strings.reduce((out, part, i) => {
    const value = values[i - 1];
    return out + (value instanceof Safe ? value.text : escapeHtml(String(value))) + part;
  });
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const style = `
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:0;display:grid;grid-template-columns:16rem 1fr;min-height:100vh}
nav{padding:1rem;border-right:1px solid #8884;position:sticky;top:0;height:100vh;overflow:auto;box-sizing:border-box}
nav h1{font-size:1.1rem}nav ul{list-style:none;padding-left:.8rem;margin:0}nav small{opacity:.7}
main{padding:1rem 2rem;max-width:60rem}article{border-top:1px solid #8884;padding:1rem 0}
h3{margin:.2rem 0}.verb{font-weight:700}.access{opacity:.8}
table{border-collapse:collapse;width:100%;margin:.8rem 0}caption{text-align:left;font-weight:600}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8883;vertical-align:top;font-weight:400}
pre{background:#8881;padding:.8rem;overflow:auto;border-radius:.3rem}a{color:inherit}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto;border:0}}`;
