import type { ModelMethod } from "../../app/index.ts";

/** What a request shows of whoever sends it. Each is sent to every method. */
export const credentials = [
  "no token",
  "no JWT",
  "forged",
  "expired",
  "for another audience",
  "of another issuer",
  "without scopes and roles",
  "of a stranger",
  "right",
] as const;
export type Credential = (typeof credentials)[number];

const wrongTokens: ReadonlySet<Credential> = new Set([
  "no JWT",
  "forged",
  "expired",
  "for another audience",
  "of another issuer",
]);

/** What must come of it: `open` is any answer but 401 and 403, `done` a success. */
export type Expectation = "401" | "403" | "hidden" | "open" | "done";

/**
 * What a method must answer to a credential. A token that is wrong is refused by public methods too: who believes to be
 * signed in learns that they are not. Undefined where nothing can be said without a sample of the object.
 */
export function expectationOf(
  method: ModelMethod,
  credential: Credential,
  hasSample: boolean,
): Expectation | undefined {
  if (wrongTokens.has(credential)) return "401";
  if (method.access === "public") return "open";
  if (credential === "no token") return "401";
  if (credential === "without scopes and roles" && method.scopes.length + method.roles.length > 0) return "403";
  if (!method.object) return "open";
  if (!hasSample) return undefined;
  return credential === "of a stranger" ? "hidden" : "done";
}

/** What came back: the status, and whether it is an error that the method itself declares, so that its handler ran. */
export interface Answered {
  readonly status: number;
  readonly isOwn: boolean;
}

/** Whether that was expected. `hidden`: refused, whether by telling so or as if there were nothing. */
export function meets(expected: Expectation, { status, isOwn }: Answered): boolean {
  switch (expected) {
    case "401":
      return status === 401 && !isOwn;
    case "403":
      return status === 403 && !isOwn;
    case "hidden":
      return status === 403 || status === 404;
    case "open":
      return isOwn || (status !== 401 && status !== 403);
    case "done":
      return status >= 200 && status < 300;
  }
}
