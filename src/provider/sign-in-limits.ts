import { createHash } from "node:crypto";
import type { Database } from "../database/index.ts";

/**
 * How often somebody may try to sign in, counted in the database for all processes, by its clock, in one statement, and
 * before the password is looked at: who asks a hundred times at once gets no more than who asks in a row.
 *
 * Each key has an allowance that refills at a steady rate (GCRA). For an account: 10 tries, then one each 30 s; for an
 * address: 30 tries, then one each 5 s. Signing in gives an account its allowance back, and the address this one try: an
 * office behind one address signs in, and who guesses gains nothing by an account of their own. Nobody is locked out for
 * good, and a name that nobody has is counted like any other.
 *
 * What is begun and never ended leaves a row for half an hour: an address may begin 120 times, then twice a second.
 */
export interface SignInLimits {
  /** Milliseconds to wait before something may be begun; 0 for none. */
  begin(address: string): Promise<number>;
  /** Milliseconds to wait; 0 when this try may be made. */
  take(account: string, address: string): Promise<number>;
  /** After a password that was right. */
  forgive(account: string, address: string): Promise<void>;
  /** Deletes up to `limit` rows whose allowance is whole again. Answers how many. */
  sweep(limit: number): Promise<number>;
}

export interface SignInRate {
  readonly burst: number;
  readonly everyMs: number;
}

export interface SignInRates {
  readonly account: SignInRate;
  readonly address: SignInRate;
  readonly begin: SignInRate;
}

export const signInRates: SignInRates = {
  account: { burst: 10, everyMs: 30_000 },
  address: { burst: 30, everyMs: 5_000 },
  begin: { burst: 120, everyMs: 500 },
};

export function createSignInLimits(database: Database, rates: SignInRates = signInRates): SignInLimits {
  const takeOne = async (key: string, { burst, everyMs }: SignInRate): Promise<number> => {
    const fullMs = burst * everyMs;
    const [row] = await database.sql<{ one: number }>`
      insert into sign_in_limits as l (key, used_until)
      values (${key}, clock_timestamp() + ${everyMs}::float8 * interval '1 ms')
      on conflict (key) do update
        set used_until = greatest(l.used_until, clock_timestamp()) + ${everyMs}::float8 * interval '1 ms'
        where l.used_until <= clock_timestamp() + ${fullMs - everyMs}::float8 * interval '1 ms'
      returning 1 as one`;
    if (row) return 0;
    const [left] = await database.sql<{ ms: number }>`
      select (extract(epoch from used_until - clock_timestamp()) * 1000)::float8 as ms
      from sign_in_limits where key = ${key}`;
    return Math.max(1, (left?.ms ?? 0) - (fullMs - everyMs));
  };
  return {
    begin: (address) => takeOne(`begin ${addressKey(address)}`, rates.begin),
    async take(account, address) {
      const waitMs = await takeOne(addressKey(address), rates.address);
      return waitMs > 0 ? waitMs : takeOne(accountKey(account), rates.account);
    },
    async forgive(account, address) {
      await database.sql`delete from sign_in_limits where key = ${accountKey(account)}`;
      await database.sql`
        update sign_in_limits set used_until = used_until - ${rates.address.everyMs}::float8 * interval '1 ms'
        where key = ${addressKey(address)}`;
    },
    async sweep(limit) {
      const rows = await database.sql`
        delete from sign_in_limits where ctid in (
          select ctid from sign_in_limits where used_until <= clock_timestamp() limit ${limit}::int
          for update skip locked
        ) returning 1 as one`;
      return rows.length;
    },
  };
}

function accountKey(account: string): string {
  return `account ${hash(account.normalize("NFC").toLowerCase())}`;
}

/** Whoever has one IPv6 address has 2^64 of them. */
function addressKey(address: string): string {
  const text = address.startsWith("::ffff:") ? address.slice(7) : address;
  return `address ${hash(text.includes(":") ? prefixOf(text) : text)}`;
}

/** The first 64 bits, written out. */
function prefixOf(address: string): string {
  const [head = "", tail] = (address.split("%")[0] as string).split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return [...left, ...Array<string>(zeros).fill("0"), ...right]
    .slice(0, 4)
    .map((part) => part.replace(/^0+(?=.)/, ""))
    .join(":");
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
