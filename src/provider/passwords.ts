import { scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { Random } from "../base/index.ts";
import { assert, error, systemRandom } from "../base/index.ts";

/**
 * Passwords at rest: scrypt (RFC 7914) with N = 2^17, r = 8, p = 1, the first choice of the OWASP Password Storage Cheat
 * Sheet, and 16 bytes of salt, as a PHC string that tells its own cost. One check takes some tenths of a second and
 * 128 MiB beside the event loop; so 2 run at a time and 32 wait. Whoever comes then is refused with PASSWORDS_BUSY, with
 * nothing done, and may come back after a second.
 */
export interface Passwords {
  hash(password: string): Promise<string>;
  /** Takes as long for nobody as for somebody. */
  verify(password: string, stored: string | undefined): Promise<PasswordCheck>;
}

export interface PasswordCheck {
  readonly isRight: boolean;
  /** Right, and kept at another cost than today's: to be hashed anew while it is known. */
  readonly isOutdated: boolean;
}

export interface PasswordCost {
  /** The binary logarithm of N. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

export interface PasswordOptions {
  /** For tests that hash often. */
  readonly cost?: PasswordCost;
  readonly random?: Random;
  /** Default 2. */
  readonly runningMax?: number;
  /** Default 32. */
  readonly waitingMax?: number;
}

export const passwordLength = { min: 10, max: 200 } as const;

const costDefault: PasswordCost = { ln: 17, r: 8, p: 1 };
const keyBytes = 32;
const saltBytes = 16;
const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);
const phcPattern = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,64})\$([A-Za-z0-9+/]{43})$/;

export function createPasswords({
  cost = costDefault,
  random = systemRandom,
  runningMax = 2,
  waitingMax = 32,
}: PasswordOptions = {}): Passwords {
  let running = 0;
  const waiting: (() => void)[] = [];
  const bytes = (count: number) => Buffer.from(random.fill(new Uint8Array(count)));
  /** Hashed like a password that nobody has: 32 random bytes. */
  const nobody: Kept = { cost, salt: bytes(saltBytes), key: bytes(keyBytes) };

  const inLine = async <T>(run: () => Promise<T>): Promise<T> => {
    if (running < runningMax) running++;
    else if (waiting.length < waitingMax) await new Promise<void>((resolve) => waiting.push(resolve));
    else {
      throw error("resource_exhausted", "Too many people sign in just now; try again in a moment.", {
        reason: "PASSWORDS_BUSY",
        retry: 1000,
        executed: "no",
      });
    }
    try {
      return await run();
    } finally {
      // The place goes on to the first in line.
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };

  return {
    async hash(password) {
      const salt = bytes(saltBytes);
      const key = await inLine(() => keyOf(password, salt, cost));
      return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${unpadded(salt)}$${unpadded(key)}`;
    },
    async verify(password, stored) {
      const kept = stored === undefined ? nobody : parse(stored);
      const key = await inLine(() => keyOf(password, kept.salt, kept.cost));
      const isRight = timingSafeEqual(key, kept.key) && stored !== undefined;
      const { ln, r, p } = kept.cost;
      return { isRight, isOutdated: isRight && (ln !== cost.ln || r !== cost.r || p !== cost.p) };
    },
  };
}

interface Kept {
  readonly cost: PasswordCost;
  readonly salt: Buffer;
  readonly key: Buffer;
}

function parse(stored: string): Kept {
  const found = phcPattern.exec(stored);
  assert(found, "a password is kept in an unknown form");
  const [, ln, r, p, salt, key] = found;
  return {
    cost: { ln: Number(ln), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt as string, "base64"),
    key: Buffer.from(key as string, "base64"),
  };
}

/** The same password however its letters are put together (RFC 8265: NFC). */
function keyOf(password: string, salt: Buffer, { ln, r, p }: PasswordCost): Promise<Buffer> {
  const N = 2 ** ln;
  return derive(password.normalize("NFC"), salt, keyBytes, { N, r, p, maxmem: 256 * N * r });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replaceAll("=", "");
}
