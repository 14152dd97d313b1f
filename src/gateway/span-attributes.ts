import type { AccessEntry } from "../telemetry/index.ts";

/** What a span says of a request (OpenTelemetry semantic conventions for HTTP servers). Never the query: it may hold secrets. */
export function spanAttributes(entry: AccessEntry): Record<string, string | number> {
  const attributes: Record<string, string | number> = {
    "http.request.method": entry.method,
    "http.response.status_code": entry.status,
    "url.path": entry.path,
  };
  if (entry.route !== "") attributes["http.route"] = entry.route;
  if (entry.status >= 500) attributes["error.type"] = entry.reason ?? String(entry.status);
  return attributes;
}
