import { StartError } from "../base/index.ts";

/**
 * Keeps secrets out of what is written. Two nets, both over the finished JSON line:
 *
 * - **names**: the value of any property, at any depth, whose name is on the list is replaced;
 * - **values**: a registered secret is replaced wherever it stands in a string, also inside a longer one, also as
 *   percent-encoded in a URL.
 *
 * It does not find a secret that was encoded otherwise (base64, hashed, cut in two), and it does not look for names in
 * JSON that stands inside a string.
 */
export interface Redactor {
  /**
   * Hides `value` from now on. False when it is too short to be hidden in free text (fewer than 6 characters: hiding
   * "1" would make every line unreadable); names still hide it. At most 256 values: one more is `SECRETS_TOO_MANY`.
   */
  register(value: string): boolean;
  /** One line of JSON without its secrets. The same string when there were none. */
  line(json: string): string;
  /** Any other text with the registered values replaced. */
  text(text: string): string;
}

export const redactedText = "[redacted]";
export const secretLengthMin = 6;
export const secretCountMax = 256;

/** Names hidden unless `keys` says otherwise. Case, `-` and `_` make no difference. */
export const redactedKeysDefault: readonly string[] = [
  "password",
  "passwd",
  "passphrase",
  "secret",
  "client-secret",
  "token",
  "access-token",
  "refresh-token",
  "id-token",
  "api-key",
  "x-api-key",
  "private-key",
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "card-number",
  "cvc",
  "cvv",
];

const unsafeLine = '{"level":"error","msg":"A log line could not be made safe to print, and was left out."}';

export function createRedactor(options: { readonly keys?: readonly string[] } = {}): Redactor {
  const keys = new Set((options.keys ?? redactedKeysDefault).map(plainKey));
  const keyPattern = keys.size === 0 ? undefined : namePattern(options.keys ?? redactedKeysDefault);
  const values = new Set<string>();
  let valuePattern: RegExp | undefined;

  const text = (value: string): string => (valuePattern ? value.replaceAll(valuePattern, redactedText) : value);

  const hidden = (key: string, value: unknown): unknown => {
    if (key !== "" && keys.has(plainKey(key)) && value !== null && value !== undefined) return redactedText;
    if (typeof value === "string") return text(value);
    if (typeof value === "number" && text(String(value)) !== String(value)) return redactedText;
    return value;
  };

  return {
    text,
    register(value) {
      if (value.length < secretLengthMin) return false;
      if (values.has(value)) return true;
      if (values.size >= secretCountMax) {
        throw new StartError(
          "SECRETS_TOO_MANY",
          `telemetry: more than ${secretCountMax} secret values are registered. Register what is configured, not what each request brings; hide those by their names.`,
        );
      }
      values.add(value);
      valuePattern = alternatives(values);
      return true;
    },
    line(json) {
      const suspect = keyPattern?.test(json) || (valuePattern !== undefined && json.search(valuePattern) !== -1);
      if (!suspect) return json;
      const ending = json.endsWith("\n") ? "\n" : "";
      try {
        // Last, over the text: a secret that is itself the name of a property.
        return text(JSON.stringify(JSON.parse(json), hidden)) + ending;
      } catch {
        return unsafeLine + ending;
      }
    },
  };
}

function plainKey(key: string): string {
  return key.toLowerCase().replaceAll(/[-_]/g, "");
}

function namePattern(names: readonly string[]): RegExp {
  const parts = names.map((name) => [...plainKey(name)].map(escapePattern).join("[-_]?"));
  return new RegExp(`"(?:${parts.join("|")})"\\s*:`, "i");
}

function alternatives(values: ReadonlySet<string>): RegExp {
  const forms = new Set<string>();
  for (const value of values) {
    forms.add(value);
    forms.add(JSON.stringify(value).slice(1, -1));
    forms.add(encodeURIComponent(value.replaceAll(/\p{Surrogate}/gu, "\ufffd")));
  }
  // Longest first, so that of two secrets of which one begins the other no tail is left standing.
  const sorted = [...forms].sort((a, b) => b.length - a.length);
  return new RegExp(sorted.map(escapePattern).join("|"), "g");
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}
