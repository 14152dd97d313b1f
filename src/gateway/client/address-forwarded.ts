/**
 * The `Forwarded` header (RFC 7239, 4): elements with commas between, each a list of `name=value` with semicolons between,
 * a value a token or a quoted string. Names in small letters; the first of two equal ones counts.
 *
 * An element that is not written so is empty: it stands for a hop of which nothing is known. A header that cannot be cut
 * into elements at all, as with a quote that never ends, has none from there on to the left: what stands right of a fault
 * is still good. With `elementsMax`, those further left are not looked at.
 */
export function parseForwarded(
  text: string,
  elementsMax = Number.POSITIVE_INFINITY,
): readonly ReadonlyMap<string, string>[] {
  if (text === "") return [];
  return elementsOf(text, elementsMax).map(parseElement);
}

const charsMax = 4096;

/** From the right, so that a client's own broken beginning cannot spoil what a proxy wrote after it. */
function elementsOf(text: string, elementsMax: number): string[] {
  const known = text.length > charsMax ? text.slice(-charsMax) : text;
  const elements: string[] = [];
  let end = known.length;
  let isQuoted = false;
  for (let i = known.length - 1; i >= 0; i--) {
    const char = known[i];
    if (char === '"' && !isEscaped(known, i)) isQuoted = !isQuoted;
    else if (char === "," && !isQuoted) {
      elements.unshift(known.slice(i + 1, end));
      end = i;
      if (elements.length >= elementsMax) return elements;
    }
  }
  elements.unshift(known.slice(0, end));
  return elements;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text[at - 1 - slashes] === "\\") slashes++;
  return slashes % 2 === 1;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const pairPattern = new RegExp(`^[ \\t]*(${token})=(?:(${token})|"((?:[^"\\\\]|\\\\.)*)")[ \\t]*(?:;|$)`);

function parseElement(text: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  let rest = text;
  while (rest.trim() !== "") {
    const match = pairPattern.exec(rest);
    if (!match) return new Map();
    const [whole, name = "", plain, quoted = ""] = match;
    const key = name.toLowerCase();
    if (!pairs.has(key)) pairs.set(key, plain ?? quoted.replace(/\\(.)/g, "$1"));
    rest = rest.slice(whole.length);
  }
  return pairs;
}
