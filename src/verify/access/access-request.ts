import type { ModelMethod } from "../../app/index.ts";

export interface AccessRequest {
  readonly verb: string;
  /** Path and query. */
  readonly target: string;
  readonly body: string | undefined;
}

const withoutBody: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE"]);

/** The HTTP request of a message: path parameters by name, the rest as query or body. */
export function accessRequest(
  { verb, path, params }: NonNullable<ModelMethod["http"]>,
  message: Readonly<Record<string, unknown>>,
): AccessRequest {
  const target = path
    .split("/")
    .map((part) => {
      if (part === "*") return "sample";
      return part.startsWith(":") ? encodeURIComponent(String(message[part.slice(1)] ?? "sample")) : part;
    })
    .join("/");
  const rest = Object.entries(message).filter(([name]) => !params.includes(name));
  if (!withoutBody.has(verb)) return { verb, target, body: JSON.stringify(Object.fromEntries(rest)) };
  const query = rest
    .filter(([, value]) => typeof value !== "object")
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
    .join("&");
  return { verb, target: query === "" ? target : `${target}?${query}`, body: undefined };
}
