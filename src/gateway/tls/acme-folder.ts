import { link, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newId } from "../../base/index.ts";

/**
 * What ACME keeps: the account's key, the certificate with its key in one file (so that no reader ever sees half of it),
 * the answers to challenges that are open, and when to try again. Several gateways may share the folder: one of them
 * orders, all of them answer.
 */
export interface AcmeFolder {
  /** PEM of certificate, chain and key. */
  readonly certificateFile: string;
  certificate(): Promise<string | undefined>;
  putCertificate(pem: string): Promise<void>;
  /** The account's key: made by whoever comes first. */
  accountKey(make: () => string): Promise<string>;
  challenge(token: string): Promise<string | undefined>;
  putChallenge(token: string, proof: string): Promise<void>;
  removeChallenge(token: string): Promise<void>;
  /** What went wrong so far. */
  attempts(): Promise<AcmeAttempts>;
  putAttempts(attempts: AcmeAttempts): Promise<void>;
  /** Runs `work` unless another process is at it; then undefined. */
  alone<T>(work: () => Promise<T>): Promise<T | undefined>;
}

export interface AcmeAttempts {
  readonly failures: number;
  /** Wall time in ms before which nothing is tried. */
  readonly notBefore: number;
}

/** Whoever holds the lock for longer is gone. */
const lockAgeMs = 15 * 60_000;

export async function openAcmeFolder(path: string, now: () => number): Promise<AcmeFolder> {
  const challenges = join(path, "challenges");
  await mkdir(challenges, { recursive: true, mode: 0o700 });
  const certificateFile = join(path, "certificate.pem");
  const lock = join(path, "order.lock");
  const attemptsFile = join(path, "attempts.json");
  const keyFile = join(path, "account.key");

  const takeLock = async (): Promise<boolean> => {
    try {
      await (await open(lock, "wx", 0o600)).close();
      return true;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
      return false;
    }
  };
  return {
    certificateFile,
    certificate: () => readIfThere(certificateFile),
    putCertificate: (pem) => replace(certificateFile, pem),
    async accountKey(make) {
      const known = await readIfThere(keyFile);
      if (known !== undefined) return known;
      const own = `${keyFile}.${newId()}`;
      await writeFile(own, make(), { mode: 0o600, flush: true });
      // The first to link it under the name has made it.
      await link(own, keyFile).catch((thrown: NodeJS.ErrnoException) => {
        if (thrown.code !== "EEXIST") throw thrown;
      });
      await rm(own, { force: true });
      return readFile(keyFile, "utf8");
    },
    challenge: (token) => readIfThere(join(challenges, token)),
    putChallenge: (token, proof) => replace(join(challenges, token), proof),
    removeChallenge: (token) => rm(join(challenges, token), { force: true }),
    async attempts() {
      const text = await readIfThere(attemptsFile);
      try {
        const { failures, notBefore } = JSON.parse(text ?? "{}") as Partial<AcmeAttempts>;
        return { failures: Number(failures ?? 0), notBefore: Number(notBefore ?? 0) };
      } catch {
        return { failures: 0, notBefore: 0 };
      }
    },
    putAttempts: (attempts) => replace(attemptsFile, JSON.stringify(attempts)),
    async alone(work) {
      if (!(await takeLock())) {
        const age = await stat(lock).then(
          ({ mtimeMs }) => now() - mtimeMs,
          () => 0,
        );
        if (age < lockAgeMs) return undefined;
        await rm(lock, { force: true });
        if (!(await takeLock())) return undefined;
      }
      try {
        return await work();
      } finally {
        await rm(lock, { force: true });
      }
    },
  };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

/** Whole or not at all, also when the machine stops in between. */
async function replace(file: string, text: string): Promise<void> {
  const own = `${file}.${newId()}.tmp`;
  await writeFile(own, text, { mode: 0o600, flush: true });
  await rename(own, file);
}
