/** The limits of the app of this proof, and what its judges count them by. */
export const processes = 3;
/** What the app is told to do while the store is down. */
export const whenDownVariable = "PROOF_WHEN_DOWN";

export const sliding = { quota: 60, windowSeconds: 2, longQuota: 150 };
export const bucket = { perSecond: 50, burst: 25 };
export const places = { count: 6, holdMs: 40 };
export const outage = { perSecond: 60 };
