/**
 * How far a caller has come in the databases it wrote to: for each of them the place in its log that a read must have
 * reached, or it would show less than what the caller knows. One for a whole tree of calls, shared by reference; as
 * text (`token`) it travels between processes and to clients and back.
 *
 * It only ever grows. A database is a name of 1 to 16 small letters and digits, a place a number below 2^96. At most 16
 * databases are held; what does not fit is remembered as `othersCurrent`, which costs a question and loses nothing.
 */
export class Position {
  /** Whoever reads from a database that is not named here must first ask its primary how far that is. */
  othersCurrent = false;
  /** Grows with each change. */
  version = 0;
  #places: Map<string, bigint> | undefined = undefined;

  /** The place that a read in `database` must have reached; undefined when nothing is known. */
  at(database: string): bigint | undefined {
    return this.#places?.get(database);
  }

  advance(database: string, place: bigint): void {
    this.#places ??= new Map();
    const known = this.#places.get(database);
    if (known !== undefined && known >= place) return;
    if (known === undefined && this.#places.size >= databaseCountMax) {
      this.demandCurrent();
      return;
    }
    this.#places.set(database, place);
    this.version++;
  }

  demandCurrent(): void {
    if (this.othersCurrent) return;
    this.othersCurrent = true;
    this.version++;
  }

  /** Adds what another process said. What is no token is ignored: it came from outside, and proves nothing. */
  merge(token: string): void {
    if (token.length > tokenLengthMax || !tokenPattern.test(token)) return;
    for (const part of token.split(",")) {
      if (part === "*") this.demandCurrent();
      else {
        const [database, place] = part.split(":") as [string, string];
        this.advance(database, BigInt(`0x${place}`));
      }
    }
  }

  /** Visible ASCII without blanks, at most 700 characters; undefined when nothing is known. */
  get token(): string | undefined {
    const parts = [...(this.#places ?? [])].map(([database, place]) => `${database}:${place.toString(16)}`);
    if (this.othersCurrent) parts.push("*");
    return parts.length === 0 ? undefined : parts.join(",");
  }
}

/** A place that nobody reaches: something was written, nobody knows where, and only the primary will do. */
export const placeUnknown: bigint = 2n ** 96n - 1n;

const databaseCountMax = 16;
/** 16 times name, colon, place and comma, and the star. */
const tokenLengthMax = 700;
const part = String.raw`(?:\*|[0-9a-z]{1,16}:[0-9a-f]{1,24})`;
const tokenPattern = new RegExp(`^${part}(?:,${part}){0,16}$`);
