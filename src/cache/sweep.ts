/**
 * Finds entries that are over although there is room for them. Each write looks at two, in turn: no write looks at all of
 * them, and soon there are no more that are over than those that are not.
 */
export class Sweep {
  readonly #ids = new Set<string>();
  #rest = this.#ids.values();

  add(id: string): void {
    this.#ids.add(id);
  }

  delete(id: string): void {
    this.#ids.delete(id);
  }

  /** To be called for each write; `look` may delete what it is shown. */
  step(look: (id: string) => void): void {
    for (let i = 0; i < looksPerWrite; i++) {
      const { value: id, done } = this.#rest.next();
      if (done) {
        this.#rest = this.#ids.values();
        return;
      }
      look(id);
    }
  }
}

const looksPerWrite = 2;
