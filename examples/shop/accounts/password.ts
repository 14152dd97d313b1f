import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

/**
 * Passwords at rest: scrypt (RFC 7914) with N = 2^17, r = 8, p = 1 (OWASP Password Storage Cheat Sheet), 16 bytes of salt,
 * written with its parameters so that they can be raised later. Costs about a tenth of a second and 128 MiB, off the event
 * loop; at most two run at a time, the others wait in line.
 */
const cost = { N: 2 ** 17, r: 8, p: 1 };
const keyBytes = 32;
const memoryMax = 256 * 1024 * 1024;
const atOnce = 2;

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt);

let running = 0;
const waiting: (() => void)[] = [];

async function inLine<T>(run: () => Promise<T>): Promise<T> {
  if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await run();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await inLine(() => derive(password.normalize("NFKC"), salt, keyBytes, { ...cost, maxmem: memoryMax }));
  return `$scrypt$ln=17,r=8,p=1$${salt.toString("base64")}$${key.toString("base64")}`;
}

/** Takes as long for an account that does not exist as for one that does: pass undefined then. */
export async function verifyPassword(password: string, stored: string | undefined): Promise<boolean> {
  const match = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(stored ?? nobody);
  if (!match) throw new Error("a stored password has an unknown form");
  const [, ln, r, p, salt = "", expected = ""] = match;
  const parameters = { N: 2 ** Number(ln), r: Number(r), p: Number(p), maxmem: memoryMax };
  const key = await inLine(() => derive(password.normalize("NFKC"), Buffer.from(salt, "base64"), keyBytes, parameters));
  const same = timingSafeEqual(key, Buffer.from(expected, "base64"));
  return same && stored !== undefined;
}

const nobody = `$scrypt$ln=17,r=8,p=1$${Buffer.alloc(16).toString("base64")}$${Buffer.alloc(keyBytes).toString("base64")}`;
