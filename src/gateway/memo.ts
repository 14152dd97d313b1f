/**
 * Remembers what a pure function made of a header's text. Clients send the same few texts over and over.
 *
 * At most `sizeMax` texts of at most 256 characters; when it is full it starts anew. Longer texts are worked out each time.
 */
export function memoize<T>(compute: (text: string) => T, sizeMax = 256): (text: string) => T {
  let known = new Map<string, T>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    const made = compute(text);
    if (text.length > 256 || made === undefined) return made;
    if (known.size >= sizeMax) known = new Map();
    known.set(text, made);
    return made;
  };
}
