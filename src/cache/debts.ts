import type { CacheDriver } from "./driver.ts";
import { namesPerRemovalMax } from "./limits.ts";

/**
 * Removals that the engine has not confirmed. They are paid before anything is read again, so that an engine that comes
 * back does not serve what was invalidated while it was away.
 *
 * At most 10,000 names are remembered; beyond that the whole namespace is cleared instead. They are forgotten with the
 * process: then the time to live of an entry is what ends it.
 */
export class Debts {
  /** With the version that the truth has now, if it was said. */
  #keys = new Map<string, number | undefined>();
  #tags = new Set<string>();
  #all = false;

  get isEmpty(): boolean {
    return !this.#all && this.#keys.size === 0 && this.#tags.size === 0;
  }

  addKeys(keys: readonly string[], version?: number): void {
    for (const key of keys) this.#keys.set(key, newer(version, this.#keys.get(key)));
    this.#bound();
  }

  addTags(tags: readonly string[]): void {
    for (const tag of tags) this.#tags.add(tag);
    this.#bound();
  }

  addAll(): void {
    this.#all = true;
    this.#keys.clear();
    this.#tags.clear();
  }

  /** Takes everything out and pays it. What could not be paid is owed again. */
  async pay(driver: CacheDriver, namespace: string): Promise<void> {
    const { keys, tags, all } = this.#take();
    try {
      if (all) await driver.clear(namespace);
      for (const [version, group] of byVersion(keys)) {
        for (const part of parts(group)) {
          await driver.delete(namespace, part, version === undefined ? undefined : { version });
        }
      }
      for (const part of parts([...tags])) await driver.invalidate(namespace, part);
    } catch (thrown) {
      if (all) this.addAll();
      for (const [key, version] of keys) this.addKeys([key], version);
      this.addTags([...tags]);
      throw thrown;
    }
  }

  #take() {
    const taken = { keys: this.#keys, tags: this.#tags, all: this.#all };
    this.#keys = new Map();
    this.#tags = new Set();
    this.#all = false;
    return taken;
  }

  #bound(): void {
    if (this.#all || this.#keys.size + this.#tags.size > debtsMax) this.addAll();
  }
}

const debtsMax = 10_000;

function newer(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}

function byVersion(keys: ReadonlyMap<string, number | undefined>): Map<number | undefined, string[]> {
  const groups = new Map<number | undefined, string[]>();
  for (const [key, version] of keys) {
    const group = groups.get(version);
    if (group) group.push(key);
    else groups.set(version, [key]);
  }
  return groups;
}

function parts(names: readonly string[]): string[][] {
  const list: string[][] = [];
  for (let i = 0; i < names.length; i += namesPerRemovalMax) list.push(names.slice(i, i + namesPerRemovalMax));
  return list;
}
