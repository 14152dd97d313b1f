import { createHash } from "node:crypto";
import type { Clock, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { VerifiedClaims } from "./claims.ts";
import type { SharedEngine } from "./shared-engine.ts";
import { identityNamespace } from "./shared-engine.ts";

/** What is taken back: one token by its `jti`, or everything that a subject was given before a time. */
export type Revoked = { readonly issuer: string; readonly tokenId: string } | RevokedSubject;

export interface RevokedSubject {
  readonly issuer: string;
  readonly subject: string;
  /** `clock.wallNow()` milliseconds. Tokens issued in the second of this time are taken back too. */
  readonly before: number;
}

/** Where revocations are kept: for as long as the longest token lives. */
export interface RevocationStore {
  add(revoked: Revoked): Promise<void>;
  /** Whether one of these claims' revocations is known. */
  has(claims: VerifiedClaims): Promise<boolean>;
  /** How long an answer of `has` may be believed. Infinite when later revocations are told by `onRevoked`. */
  readonly freshMs: number;
  /** Called when something was taken back in this process. */
  onRevoked: (() => void) | undefined;
}

/** Longer than any token lives that is not refused for living too long. */
const keepMsDefault = 25 * 3_600_000;
const entryCountMax = 100_000;

/**
 * In the memory of this process: at once, and gone with it. At most 100,000; above that nothing more is taken back, and
 * whoever asks is told so, since to forget one would give a token its power again.
 */
export function memoryRevocationStore(
  clock: Clock,
  keepMs: number = keepMsDefault,
  countMax: number = entryCountMax,
): RevocationStore {
  const entries = new Map<string, { readonly before: number; readonly until: number }>();
  const sweep = (): void => {
    const now = clock.now();
    for (const [key, { until }] of entries) if (until <= now) entries.delete(key);
  };
  const store: RevocationStore = {
    freshMs: Number.POSITIVE_INFINITY,
    onRevoked: undefined,
    async add(revoked) {
      if (entries.size >= countMax) sweep();
      if (entries.size >= countMax) throw revocationsFull();
      const key = keyOf(revoked);
      const before = "before" in revoked ? revoked.before : Number.POSITIVE_INFINITY;
      entries.set(key, { before: Math.max(before, entries.get(key)?.before ?? 0), until: clock.now() + keepMs });
      store.onRevoked?.();
    },
    async has(claims) {
      const now = clock.now();
      return keysOf(claims).some((key) => {
        const found = entries.get(key);
        return found !== undefined && now < found.until && claims.issuedAt <= found.before;
      });
    },
  };
  return store;
}

/** How soon another process hears of a revocation, at most. */
const sharedDelayMs = 5000;

/**
 * In the cache engine that all processes share, and in the memory of this one. Every process asks the engine for a token
 * that it sees for the first time, and for those it remembers each 5 s: so late a revocation is heard of at most. While
 * the engine is away, what this process has heard holds; and what is to be taken back then is refused with 503, so that
 * nobody believes it done.
 */
export function sharedRevocationStore(
  engine: SharedEngine,
  clock: Clock,
  keepMs: number = keepMsDefault,
): RevocationStore {
  const own = memoryRevocationStore(clock, keepMs);
  return {
    freshMs: sharedDelayMs,
    get onRevoked() {
      return own.onRevoked;
    },
    set onRevoked(listener) {
      own.onRevoked = listener;
    },
    async add(revoked) {
      await own.add(revoked);
      const before = "before" in revoked ? revoked.before : Number.MAX_SAFE_INTEGER;
      try {
        await engine.ask((driver) =>
          // Of two times the later one stays.
          driver.set(identityNamespace, keyOf(revoked), String(before), { ttlMs: keepMs, tags: [], version: before }),
        );
      } catch (cause) {
        throw revocationNotShared(cause);
      }
    },
    async has(claims) {
      if (await own.has(claims)) return true;
      try {
        const found = await engine.ask((driver) => driver.getMany(identityNamespace, keysOf(claims)));
        return found.some((each) => each !== undefined && claims.issuedAt <= Number(each.value));
      } catch {
        // The engine has told of it. What this process has heard is what there is.
        return false;
      }
    },
  };
}

/** REVOCATIONS_FULL: so many are kept that one more cannot be. */
const revocationsFull = (): PlinthError =>
  error("resource_exhausted", "No more tokens can be taken back now.", { reason: "REVOCATIONS_FULL", executed: "no" });

/** REVOCATION_NOT_SHARED: it holds in this process; the others could not be told. */
const revocationNotShared = (cause: unknown): PlinthError =>
  error("unavailable", "The revocation could not be told to all processes. Try again.", {
    reason: "REVOCATION_NOT_SHARED",
    retry: 1000,
    executed: "maybe",
    cause,
  });

/** Names are hashed: they may be long, and the engine's keys are seen by others. */
function keyOf(revoked: Revoked): string {
  return "tokenId" in revoked
    ? hashed("revoked-token", revoked.issuer, revoked.tokenId)
    : hashed("revoked-subject", revoked.issuer, revoked.subject);
}

function keysOf({ issuer, tokenId, principal }: VerifiedClaims): string[] {
  const bySubject = hashed("revoked-subject", issuer, principal.subject);
  return tokenId === undefined ? [bySubject] : [hashed("revoked-token", issuer, tokenId), bySubject];
}

function hashed(kind: string, issuer: string, name: string): string {
  return `${kind}:${createHash("sha256")
    .update(JSON.stringify([issuer, name]))
    .digest("base64url")}`;
}
