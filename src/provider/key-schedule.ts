/**
 * When a signing key is published, signs and goes. Pure: times are milliseconds of one clock, the database's.
 *
 *     |-- ahead --|------- signs -------|--- kept ---|
 *     published   signs_from            signs_until  published_until
 *
 * The next key begins where the one before it ends, and is published `aheadMs` before: whoever keeps a copy of the key set
 * has it in time. A key is kept for as long as what it signed last may live.
 */
export interface KeyTimes {
  readonly signsFrom: number;
  readonly signsUntil: number;
  readonly publishedUntil: number;
}

export interface KeyRules {
  readonly signsMs: number;
  readonly aheadMs: number;
  readonly keptMs: number;
}

/** The times of the key that is to be made now; undefined while those that there are will do. */
export function nextKeyTimes(keys: readonly KeyTimes[], now: number, rules: KeyRules): KeyTimes | undefined {
  const last = Math.max(...keys.map(({ signsUntil }) => signsUntil), Number.NEGATIVE_INFINITY);
  if (last - rules.aheadMs > now) return undefined;
  // Nothing signs any more, or nothing did yet: at once.
  const signsFrom = Math.max(last, now);
  const signsUntil = signsFrom + rules.signsMs;
  return { signsFrom, signsUntil, publishedUntil: signsUntil + rules.keptMs };
}

/** The one that signs now. Of several, which a wrong clock may have made, the one that began last. */
export function signingKeyAt<K extends KeyTimes>(keys: readonly K[], now: number): K | undefined {
  return keys
    .filter(({ signsFrom, signsUntil }) => signsFrom <= now && now < signsUntil)
    .sort((a, b) => b.signsFrom - a.signsFrom)[0];
}
