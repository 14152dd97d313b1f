/** What the bench tells those that have production features on. */
export const origin = process.env.EDGE_ORIGIN ?? "";
/** Of whoever signs tokens, ES256. */
export const publicKey = process.env.EDGE_KEY ?? "";
export const scope = "orders";
/** Requests of one principal in a minute. */
export const quota = Number(process.env.EDGE_QUOTA);
/** The share of traces that is recorded. */
export const traced = Number(process.env.EDGE_TRACED);

export interface Claims {
  readonly sub: string;
  readonly scope: string;
}

export function hasScope(claims: { readonly scope?: unknown } | undefined): boolean {
  return typeof claims?.scope === "string" && claims.scope.split(" ").includes(scope);
}
