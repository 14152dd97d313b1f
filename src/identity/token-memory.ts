import type { Clock, Principal } from "../base/index.ts";
import type { VerifiedClaims } from "./claims.ts";
import { TwoGenerations } from "./two-generations.ts";

/**
 * Tokens that were verified a short while ago. Verifying costs five to ten times a request, so what was verified is
 * remembered: by the whole header, bounded, for `rememberMs` and never past a token's own end. Refusals are not.
 */
export class TokenMemory {
  readonly #clock: Clock;
  readonly #rememberMs: number;
  readonly #count: number;
  #entries: TwoGenerations<Remembered>;

  constructor(clock: Clock, rememberMs: number, count: number) {
    this.#clock = clock;
    this.#rememberMs = rememberMs;
    this.#count = count;
    this.#entries = new TwoGenerations(count);
  }

  /** The principal of a header that is enough by itself, in the time that a request has for it. */
  recall(authorization: string): Principal | undefined {
    const found = this.#entries.get(tailOf(authorization));
    if (found === undefined || found.authorization !== authorization) return undefined;
    return this.#clock.wallNow() < found.freshUntil ? found.principal : undefined;
  }

  /** What was verified, although it must be looked at again: bound to a key, or not asked for a while whether it was revoked. */
  find(authorization: string): VerifiedClaims | undefined {
    const found = this.#entries.get(tailOf(authorization));
    if (found === undefined || found.authorization !== authorization) return undefined;
    return this.#clock.wallNow() < found.until ? found.claims : undefined;
  }

  /** `freshMs`: how long it may be recalled before `find` is asked again. */
  keep(authorization: string, claims: VerifiedClaims, freshMs: number, until?: number): void {
    const now = this.#clock.wallNow();
    const end = Math.min(claims.expiresAt, until ?? now + this.#rememberMs);
    const freshUntil = claims.confirmation ? 0 : Math.min(end, now + freshMs);
    this.#entries.set(tailOf(authorization), {
      authorization,
      claims,
      principal: claims.principal,
      until: end,
      freshUntil,
    });
  }

  /** When what `find` gives ends. */
  endOf(authorization: string): number | undefined {
    return this.#entries.get(tailOf(authorization))?.until;
  }

  clear(): void {
    this.#entries = new TwoGenerations(this.#count);
  }
}

interface Remembered {
  readonly authorization: string;
  readonly claims: VerifiedClaims;
  readonly principal: Principal;
  /** `clock.wallNow()` milliseconds. */
  readonly until: number;
  readonly freshUntil: number;
}

/**
 * The end of a signature finds the entry, the whole header then decides: hashing hundreds of characters anew for each
 * request would be the dearest step of the pipeline, comparing them costs nothing.
 */
function tailOf(authorization: string): string {
  return authorization.slice(-24);
}
