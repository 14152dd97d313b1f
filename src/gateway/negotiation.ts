import { memoize } from "./memo.ts";

/** Content negotiation by q-values (RFC 9110, 12.4 and 12.5). */

interface Weighted {
  /** As it was sent, with its parameters. */
  readonly text: string;
  readonly name: string;
  readonly weight: number;
}

const itemsMax = 64;

/** The weight (0 to 1) that an `Accept` header gives to a media type. */
export function acceptWeight(accept: string, type: string): number {
  const items = parseWeighted(accept);
  if (items.length === 0) return 1;
  const wide = `${type.slice(0, type.indexOf("/"))}/*`;
  let weight = 0;
  let precision = 0;
  for (const item of items) {
    const itemPrecision = item.name === type ? 3 : item.name === wide ? 2 : item.name === "*/*" ? 1 : 0;
    if (itemPrecision > precision || (itemPrecision === precision && precision > 0 && item.weight > weight)) {
      precision = itemPrecision;
      weight = item.weight;
    }
  }
  return weight;
}

const weights = memoize(
  (accept): ReadonlyMap<string, number> =>
    new Map(
      ["application/json", "application/x-ndjson", "text/event-stream"].map((type) => [
        type,
        acceptWeight(accept, type),
      ]),
    ),
);

/** Whether JSON may be answered. */
export function acceptsJson(accept: string | undefined): boolean {
  if (accept === undefined || accept === "*/*" || accept === "application/json") return true;
  return (weights(accept).get("application/json") as number) > 0;
}

/** How a stream is answered; undefined when the client takes neither. NDJSON unless events are wanted more. */
export function streamFormatOf(accept: string | undefined): "ndjson" | "events" | undefined {
  if (accept === undefined || accept === "*/*") return "ndjson";
  const found = weights(accept);
  const lines = found.get("application/x-ndjson") as number;
  const events = found.get("text/event-stream") as number;
  if (lines === 0 && events === 0) return (found.get("application/json") as number) > 0 ? "ndjson" : undefined;
  // `text/event-stream, */*` means events: at the same weight the exact name wins.
  return events > lines || (events === lines && accept.toLowerCase().includes("text/event-stream"))
    ? "events"
    : "ndjson";
}

export type ContentCoding = "br" | "gzip" | "identity";

/** The content coding to answer with: brotli before gzip before none, by weight. */
export const contentCodingOf: (acceptEncoding: string) => ContentCoding = memoize((acceptEncoding) => {
  let star = 0;
  const found = new Map<string, number>();
  for (const { name, weight } of parseWeighted(acceptEncoding)) {
    if (name === "*") star = weight;
    else found.set(name === "x-gzip" ? "gzip" : name, weight);
  }
  const br = found.get("br") ?? star;
  const gzip = found.get("gzip") ?? star;
  const identity = found.get("identity") ?? 0;
  if (br > 0 && br >= gzip && br >= identity) return "br";
  return gzip > 0 && gzip >= identity ? "gzip" : "identity";
});

export function parseWeighted(text: string): Weighted[] {
  const items: Weighted[] = [];
  for (const part of text.split(",", itemsMax)) {
    const [name = "", ...parameters] = part.split(";");
    const cleanName = name.trim().toLowerCase();
    if (cleanName === "") continue;
    const quality = parameters.find((parameter) => /^\s*q\s*=/i.test(parameter));
    items.push({ text: part.trim(), name: cleanName, weight: quality === undefined ? 1 : weightOf(quality) });
  }
  return items;
}

/** A weight that cannot be read counts as 1, the same as none. */
function weightOf(parameter: string): number {
  const text = parameter.slice(parameter.indexOf("=") + 1).trim();
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 1;
}
