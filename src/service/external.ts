import { StartError } from "../base/index.ts";
import type { AnyContract } from "./contract.ts";
import type { SecretNeed } from "./needs.ts";

/**
 * An existing HTTP service, called through a contract: its routes say where each method goes. Callers cannot tell it from
 * a service of our own: they get the same types, deadlines, retries, breaker and errors.
 */
export interface ExternalService<C extends AnyContract = AnyContract> {
  readonly kind: "external";
  readonly contract: C;
  /** Base address, `http://` or `https://`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | SecretNeed>>;
  readonly served: boolean;
}

export interface ExternalOptions {
  /** Sent with each call. A key for the outside service is a secret: `{ "x-key": secret("WAREHOUSE_KEY") }`. */
  readonly headers?: Readonly<Record<string, string | SecretNeed>>;
  /** The gateway serves the contract's routes too, by its access rules, and calls on with our headers. Default false. */
  readonly served?: boolean;
}

/**
 * Provides `contract` by an HTTP service at `url`. Each of its methods needs an `http` route; events cannot come from it.
 * Its routes are the outside service's: our gateway serves them only when asked to (`served`).
 */
export function external<C extends AnyContract>(
  contract: C,
  url: string,
  options: ExternalOptions = {},
): ExternalService<C> {
  const problems: string[] = [];
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    problems.push(
      `external(${contract.name}): url: ${JSON.stringify(url)} is no address; write for example "https://shipping.internal".`,
    );
  } else if (new URL(url).username !== "" || new URL(url).password !== "") {
    problems.push(
      `external(${contract.name}): url: it holds a user or a password, which documents would show; put it into headers: { authorization: secret("…") }.`,
    );
  }
  for (const [name, method] of Object.entries(contract.methods)) {
    if (!method.options.http) {
      problems.push(
        `external(${contract.name}): ${name} has no "http" route, so there is no way to call it; add one to the contract.`,
      );
    }
    if (method.kind === "raw")
      problems.push(`external(${contract.name}): ${name} is raw; an external service has methods and streams only.`);
  }
  if (Object.keys(contract.events).length > 0) {
    problems.push(
      `external(${contract.name}): events cannot come from an external service; take them out of the contract.`,
    );
  }
  if (problems.length > 0) throw new StartError("EXTERNAL_INVALID", problems);
  return {
    kind: "external",
    contract,
    url: url.replace(/\/$/, ""),
    headers: options.headers ?? {},
    served: options.served ?? false,
  };
}
