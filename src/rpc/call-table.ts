/**
 * The calls in flight on one connection, by id. A client counts its ids up, so a call's place follows from its id; only
 * where that place is still taken (by a stream that stays open, or by a peer that counts otherwise) a map helps out.
 *
 * Not a `Map` alone: one that has entries added and removed all the time makes itself anew now and then, and each of its
 * old tables holds the next one. The first that grows old keeps alive all calls that were ever in flight, until the next
 * full collection.
 */
export class CallTable<Entry extends { readonly id: number }> {
  size = 0;
  #places: (Entry | undefined)[] = new Array(placesMin).fill(undefined);
  readonly #others = new Map<number, Entry>();

  get(id: number): Entry | undefined {
    const entry = this.#places[id & (this.#places.length - 1)];
    if (entry !== undefined && entry.id === id) return entry;
    return this.#others.size === 0 ? undefined : this.#others.get(id);
  }

  /** Its id must not be in the table. */
  add(entry: Entry): void {
    this.size++;
    if (this.size * 2 > this.#places.length && this.#places.length < placesMax) this.#grow();
    this.#put(entry);
  }

  /** Takes it out, if it is there. */
  take(id: number): Entry | undefined {
    const place = id & (this.#places.length - 1);
    let entry = this.#places[place];
    if (entry !== undefined && entry.id === id) this.#places[place] = undefined;
    else {
      entry = this.#others.size === 0 ? undefined : this.#others.get(id);
      if (entry === undefined) return undefined;
      this.#others.delete(id);
    }
    this.size--;
    return entry;
  }

  /** All that are there now: what is added or taken meanwhile changes nothing in the list. */
  all(): Entry[] {
    const placed = this.#places.filter((entry) => entry !== undefined);
    return [...placed, ...this.#others.values()];
  }

  #put(entry: Entry): void {
    const place = entry.id & (this.#places.length - 1);
    if (this.#places[place] === undefined) this.#places[place] = entry;
    else this.#others.set(entry.id, entry);
  }

  #grow(): void {
    const entries = this.all();
    this.#places = new Array(this.#places.length * 4).fill(undefined);
    this.#others.clear();
    for (const entry of entries) this.#put(entry);
  }
}

const placesMin = 64;
const placesMax = 4096;
