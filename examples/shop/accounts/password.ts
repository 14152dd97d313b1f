import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { PlinthError } from "plinth";

/**
 * Passwords at rest: scrypt (RFC 7914) with N = 2^15, r = 8, p = 3, one of the settings of the OWASP Password Storage Cheat
 * Sheet, and 16 bytes of salt, written with its parameters so that they can be raised later. It costs some tenths of a
 * second and 32 MiB, off the event loop. At most 2 run at a time and 24 wait in line; whoever comes then gets
 * `resource_exhausted`, PASSWORDS_BUSY, with nothing done, and may come back after a second.
 */
const cost = { N: 2 ** 15, r: 8, p: 3 };
const keyBytes = 32;
const memoryBytesMax = 256 * 1024 * 1024;
const runningMax = 2;
const waitingMax = 24;

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt);

let runningCount = 0;
const waiting: (() => void)[] = [];

async function inLine<T>(run: () => Promise<T>): Promise<T> {
  if (runningCount < runningMax) runningCount++;
  else if (waiting.length < waitingMax) await new Promise<void>((resolve) => waiting.push(resolve));
  else {
    throw new PlinthError("resource_exhausted", "Too many people sign in just now.", {
      reason: "PASSWORDS_BUSY",
      retry: 1000,
      executed: "no",
    });
  }
  try {
    return await run();
  } finally {
    // A place is handed on; it becomes free only when nobody waits.
    const next = waiting.shift();
    if (next) next();
    else runningCount--;
  }
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const parameters = { ...cost, maxmem: memoryBytesMax };
  const key = await inLine(() => derive(password.normalize("NFKC"), salt, keyBytes, parameters));
  return write(salt, key);
}

/** Takes as long for an account that does not exist as for one that does: pass undefined then. */
export async function verifyPassword(password: string, stored: string | undefined): Promise<boolean> {
  const match = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(stored ?? nobody);
  if (!match) throw new Error("a stored password has an unknown form");
  const [, ln, r, p, salt = "", expected = ""] = match;
  const parameters = { N: 2 ** Number(ln), r: Number(r), p: Number(p), maxmem: memoryBytesMax };
  const key = await inLine(() => derive(password.normalize("NFKC"), Buffer.from(salt, "base64"), keyBytes, parameters));
  const same = timingSafeEqual(key, Buffer.from(expected, "base64"));
  return same && stored !== undefined;
}

function write(salt: Buffer, key: Buffer): string {
  const { N, r, p } = cost;
  return `$scrypt$ln=${Math.log2(N)},r=${r},p=${p}$${salt.toString("base64")}$${key.toString("base64")}`;
}

const nobody = write(Buffer.alloc(16), Buffer.alloc(keyBytes));
