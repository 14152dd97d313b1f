/** The longest line of a log, in characters. A longer one is written with its long and nested fields left out. */
export const lineLengthMax = 64 * 1024;
const keptFieldLengthMax = 1024;
const keptMessageLengthMax = 8192;
const keptLengthMax = 32 * 1024;

// Legal inside a JSON string, but read as a line end or as the start of a command by some terminals and log readers.
const treacherous = /[\u007f-\u009f\u2028\u2029]/g;

/** One JSON line that stays one line in every reader and within the limit. */
export function safeLine(json: string): string {
  const line = json.length > lineLengthMax ? cut(json) : json;
  return line.replace(treacherous, escaped);
}

/** A JSON string literal that is safe in the same way. */
export function safeText(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text).replace(treacherous, escaped);
}

// Printable ASCII without the two that JSON escapes: nearly every string there is.
const plain = /^[ !#-[\]-~]*$/;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function cut(json: string): string {
  const fields = JSON.parse(json) as Record<string, unknown>;
  const kept: Record<string, unknown> = {};
  let left = keptLengthMax;
  const keep = (name: string, value: unknown, lengthMax: number): void => {
    if (value === undefined || left <= 0) return;
    const short = typeof value === "string" ? value.slice(0, lengthMax) : value;
    const length = JSON.stringify(short).length;
    if (length > lengthMax * 6 || length > left) return;
    kept[name] = short;
    left -= length;
  };
  for (const name of ["level", "time", "service", "trace_id", "span_id"]) keep(name, fields[name], keptFieldLengthMax);
  keep("msg", fields.msg, keptMessageLengthMax);
  const error = fields.err as { type?: unknown; message?: unknown; reason?: unknown } | undefined;
  if (typeof error === "object" && error !== null) {
    kept.err = {
      type: error.type,
      message: String(error.message).slice(0, keptMessageLengthMax),
      reason: error.reason,
    };
  }
  for (const [name, value] of Object.entries(fields)) {
    if (!(name in kept) && (typeof value !== "object" || value === null)) keep(name, value, keptFieldLengthMax);
  }
  const ending = json.endsWith("\n") ? "\n" : "";
  kept.truncatedChars = json.length - JSON.stringify(kept).length;
  return JSON.stringify(kept) + ending;
}
