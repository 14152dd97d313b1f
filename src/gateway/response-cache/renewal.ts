import type CachePolicy from "http-cache-semantics";
import type { PolicyMaker, PolicyRequest } from "./policy.ts";
import type { CachedAnswer } from "./store.ts";

/** What a 304 does not change: it says nothing of the body that is kept, and cookies and tags belong to one answer. */
const unchanged: ReadonlySet<string> = new Set([
  "cache-tag",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "set-cookie",
  "transfer-encoding",
  "vary",
]);

/**
 * The rules of a kept answer after a 304 to its own validators (RFC 9111, 4.3.4): its headers, with those of the 304 over
 * them. What it depended on it still depends on, whatever the 304 leaves out. Undefined: the 304 is about another answer,
 * or forbids keeping.
 */
export function renewedPolicy(
  { policy, status }: CachedAnswer,
  asked: PolicyRequest,
  told: Readonly<Record<string, string>>,
  makePolicy: PolicyMaker,
): CachePolicy | undefined {
  const { age: _age, date: _date, ...known } = policy.responseHeaders() as Record<string, string>;
  const validators: Record<string, string> = {};
  for (const name of ["etag", "last-modified"]) {
    const value = known[name];
    if (value !== undefined) validators[name] = value;
  }
  const { matches } = policy.revalidatedPolicy(asked, { status: 304, headers: { ...validators, ...told } });
  if (!matches) return undefined;
  const headers = { ...known };
  for (const [name, value] of Object.entries(told)) if (!unchanged.has(name)) headers[name] = value;
  const vary = [known.vary, told.vary].filter((names) => names !== undefined && names !== "").join(", ");
  if (vary !== "") headers.vary = [...new Set(vary.toLowerCase().split(/\s*,\s*/))].join(", ");
  if (headers.vary?.includes("*")) return undefined;
  const renewed = makePolicy(asked, { status, headers });
  return renewed.storable() ? renewed : undefined;
}
