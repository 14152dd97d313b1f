import type { Clock, Principal } from "../base/index.ts";
import type { VerifiedClaims } from "./claims.ts";
import { TwoGenerations } from "./two-generations.ts";

/**
 * Tokens that were verified a short while ago. Verifying costs five to ten times a request, so what was verified is
 * remembered: by the whole header, bounded, for `rememberMs` and never past a token's own end; one that is not used goes
 * within that time. Refusals are not.
 */
export class TokenMemory {
  readonly #clock: Clock;
  readonly #rememberMs: number;
  readonly #count: number;
  #entries: TwoGenerations<Remembered>;
  #doubts = 0;
  #clears = 0;

  constructor(clock: Clock, rememberMs: number, count: number) {
    this.#clock = clock;
    this.#rememberMs = rememberMs;
    this.#count = count;
    this.#entries = new TwoGenerations(count, rememberMs, clock);
  }

  /** The principal of a header that is enough by itself, in the time that a request has for it. */
  recall(authorization: string): Principal | undefined {
    const found = this.#entries.get(tailOf(authorization));
    if (found === undefined || found.authorization !== authorization) return undefined;
    return this.#clock.wallNow() < found.freshUntil && found.doubts === this.#doubts && !found.claims.confirmation
      ? found.principal
      : undefined;
  }

  /** What was verified, although more may have to be looked at: a proof, or whether it was revoked meanwhile. */
  find(authorization: string): Found | undefined {
    const found = this.#entries.get(tailOf(authorization));
    if (found === undefined || found.authorization !== authorization) return undefined;
    const now = this.#clock.wallNow();
    if (now >= found.until) return undefined;
    return { claims: found.claims, isFresh: now < found.freshUntil && found.doubts === this.#doubts };
  }

  /** What is known now: taken before something is verified, and shown with the result. */
  get mark(): Mark {
    return { doubts: this.#doubts, clears: this.#clears };
  }

  /**
   * Keeps what was verified, unless everything was forgotten meanwhile. `freshMs`: how long until it must be asked again
   * whether it was revoked.
   */
  keep(authorization: string, claims: VerifiedClaims, freshMs: number, { doubts, clears }: Mark): void {
    if (clears !== this.#clears) return;
    const now = this.#clock.wallNow();
    this.#set(authorization, claims, Math.min(claims.expiresAt, now + this.#rememberMs), now + freshMs, doubts);
  }

  /** It was asked again, and is still good. */
  renew(authorization: string, freshMs: number, { doubts }: Mark): void {
    const found = this.#entries.get(tailOf(authorization));
    if (found?.authorization === authorization)
      this.#set(authorization, found.claims, found.until, this.#clock.wallNow() + freshMs, doubts);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** From now on everything must be asked again: something was revoked. */
  doubt(): void {
    this.#doubts++;
  }

  clear(): void {
    this.#clears++;
    this.#entries = new TwoGenerations(this.#count, this.#rememberMs, this.#clock);
  }

  #set(authorization: string, claims: VerifiedClaims, until: number, freshUntil: number, doubts: number): void {
    this.#entries.set(tailOf(authorization), {
      authorization,
      claims,
      principal: claims.principal,
      until,
      freshUntil: Math.min(until, freshUntil),
      doubts,
    });
  }
}

/** How often there was doubt, and how often everything was forgotten. */
export interface Mark {
  readonly doubts: number;
  readonly clears: number;
}

export interface Found {
  readonly claims: VerifiedClaims;
  /** It need not be asked again whether it was revoked. */
  readonly isFresh: boolean;
}

interface Remembered {
  readonly authorization: string;
  readonly claims: VerifiedClaims;
  readonly principal: Principal;
  /** `clock.wallNow()` milliseconds. */
  readonly until: number;
  readonly freshUntil: number;
  /** Those there had been when it was last asked. */
  readonly doubts: number;
}

/**
 * The end of a signature finds the entry, the whole header then decides: hashing hundreds of characters anew for each
 * request would be the dearest step of the pipeline, comparing them costs nothing.
 */
function tailOf(authorization: string): string {
  return authorization.slice(-24);
}
