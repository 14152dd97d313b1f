import { mediaTypeUnsupported, notAcceptable } from "./errors.ts";
import type { Endpoint, Exchange } from "./exchange.ts";
import { memoize } from "./memo.ts";
import { parseWeighted } from "./negotiation.ts";

/** How clients say which version of the API they mean. */
export interface VersionOptions {
  /**
   * `"path"`: the path begins with it, `/v2/products`. `"media-type"`: `Accept` and `Content-Type` name it, as
   * `application/vnd.shop.v2+json` or `application/json;version=2`. Default `"path"`.
   */
  readonly by?: "path" | "media-type";
  /** For `"media-type"`: the word after `vnd.`. Default: the app's name. */
  readonly vendor?: string;
  /** For `"media-type"`: the version of requests that name none. Default: the oldest, so that nobody is moved unasked. */
  readonly default?: number;
}

/** What one path serves, version by version. */
export interface VersionedEndpoint {
  /** None: all that no other has. */
  readonly versions: readonly number[];
  readonly id: string;
  readonly serve: Endpoint["serve"];
}

export interface VersionSwitch {
  readonly vendor: string;
  readonly fallback: number | undefined;
}

interface Asked {
  readonly version: number | undefined;
  /** The type to answer with, where it was asked for by its own name. */
  readonly mediaType: string | undefined;
}

/**
 * One path, several versions: the request's media types say which. Accept is asked first, by its weights, then the body's
 * type; what names no version means the default. A version that is not served is 406, a body of another version 415.
 */
export function compileVersionSwitch(
  endpoints: readonly VersionedEndpoint[],
  { vendor, fallback }: VersionSwitch,
): Endpoint["serve"] {
  const served = [...new Set(endpoints.flatMap(({ versions }) => versions))].sort((a, b) => a - b);
  const usual = fallback !== undefined && served.includes(fallback) ? fallback : served[0];
  const rest = endpoints.find(({ versions }) => versions.length === 0);
  const byVersion = new Map(
    served.map((version) => [version, endpoints.find(({ versions }) => versions.includes(version))]),
  );
  const offered = served.map((version) => `application/vnd.${vendor}.v${version}+json`).join(", ");
  const readType = compileTypeReader(vendor);
  const askedOf = memoize((accept): readonly Asked[] => {
    const items = parseWeighted(accept).filter(({ weight }) => weight > 0);
    return items.sort((a, b) => b.weight - a.weight).map(({ text }) => readType(text));
  });
  const choose = (exchange: Exchange): Asked => {
    const { accept, "content-type": contentType } = exchange.headers;
    const asked = accept === undefined ? [] : askedOf(accept);
    const named = asked.filter(({ version }) => version !== undefined);
    const body = contentType === undefined ? undefined : readType(contentType).version;
    if (named.length > 0) {
      const found = named.find(({ version }) => byVersion.has(version as number));
      // Whoever takes any version as well gets the usual one.
      if (!found && named.length === asked.length) throw notAcceptable(offered);
      if (found && body !== undefined && body !== found.version) throw versionsDiffer(body, found.version as number);
      if (found) return found;
    }
    if (body !== undefined && !byVersion.has(body)) throw versionUnknown(body, offered);
    return { version: body ?? usual, mediaType: undefined };
  };
  return (exchange) => {
    exchange.addHeader("vary", "accept");
    const { version, mediaType } = choose(exchange);
    const endpoint = (version === undefined ? undefined : byVersion.get(version)) ?? rest;
    if (!endpoint) throw notAcceptable(offered);
    if (mediaType !== undefined) {
      exchange.mediaType = mediaType;
      exchange.headers.accept = "application/json";
    }
    endpoint.serve(exchange);
  };
}

function compileTypeReader(vendor: string): (text: string) => Asked {
  const own = new RegExp(`^application/vnd\\.${vendor.replaceAll(".", "\\.")}\\.v(\\d{1,4})\\+json$`);
  return memoize((text) => {
    const [type = "", ...parameters] = text.split(";");
    const name = type.trim().toLowerCase();
    const match = own.exec(name);
    if (match) return { version: Number(match[1]), mediaType: name };
    for (const parameter of parameters) {
      const found = /^\s*version\s*=\s*"?v?(\d{1,4})"?\s*$/i.exec(parameter);
      if (found) return { version: Number(found[1]), mediaType: undefined };
    }
    return { version: undefined, mediaType: undefined };
  });
}

const versionsDiffer = (body: number, answer: number) =>
  mediaTypeUnsupported(`The body is of version ${body}, and the answer is asked for in version ${answer}.`, {});

const versionUnknown = (body: number, offered: string) =>
  mediaTypeUnsupported(`Version ${body} is not served here.`, { accept: offered });
