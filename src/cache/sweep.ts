/**
 * Goes through keys in turn, while others come and go: whoever looks at two for each that it adds has soon looked at all,
 * and never at all of them at once.
 */
export class Sweep {
  readonly #keys = new Set<string>();
  #rest = this.#keys.values();

  add(key: string): void {
    this.#keys.add(key);
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }

  /** The key whose turn it is; none at the end of each round. */
  next(): string | undefined {
    const { value, done } = this.#rest.next();
    if (!done) return value;
    this.#rest = this.#keys.values();
    return undefined;
  }
}
