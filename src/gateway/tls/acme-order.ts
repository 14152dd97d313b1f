import { generateKeyPairSync } from "node:crypto";
import type { Clock } from "../../base/index.ts";
import type { AcmeFolder } from "./acme-folder.ts";

export type AcmeClient = typeof import("acme-client");

export interface OrderOptions {
  readonly hosts: readonly string[];
  readonly email?: string;
  readonly directory?: string;
}

export interface OrderParts {
  readonly folder: AcmeFolder;
  readonly clock: Clock;
  /** Ends the order, with its requests and pauses: nothing of it keeps a process that leaves. */
  readonly signal: AbortSignal;
}

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";
const requestMsMax = 30_000;
const firstPauseMs = 1000;
const lastPauseMs = 10_000;

/** One order, from the account to the chain and its key as PEM (RFC 8555, 7.1). Bounded in time by its signal alone. */
export async function orderCertificate(client: AcmeClient, options: OrderOptions, parts: OrderParts): Promise<string> {
  const directory = options.directory ?? letsEncrypt;
  try {
    return await order(client, { ...options, directory }, parts);
  } catch (thrown) {
    // Where no answer came the package trips over that.
    if (!(thrown instanceof TypeError)) throw thrown;
    throw new Error(`the authority at ${directory} did not answer`, { cause: thrown });
  }
}

async function order(
  { Client, axios, crypto }: AcmeClient,
  { hosts, email, directory }: OrderOptions & { readonly directory: string },
  { folder, clock, signal }: OrderParts,
): Promise<string> {
  // The package's own tries would go on when nobody waits for them; an order that failed is tried again later.
  Object.assign(axios.defaults, { signal, timeout: requestMsMax, acmeSettings: { retryMaxAttempts: 0 } });
  const client = new Client({ directoryUrl: directory, accountKey: await folder.accountKey(makeKey) });
  await client.createAccount({
    termsOfServiceAgreed: true,
    ...(email !== undefined && { contact: [`mailto:${email}`] }),
  });
  const placed = await client.createOrder({ identifiers: hosts.map((value) => ({ type: "dns", value })) });
  const tokens: string[] = [];
  try {
    for (const { status, challenges } of await client.getAuthorizations(placed)) {
      if (status === "valid") continue;
      const challenge = challenges.find(({ type }) => type === "http-01");
      if (!challenge) throw new Error("the authority offers no http-01 challenge");
      tokens.push(checkToken(challenge.token));
      await folder.putChallenge(challenge.token, await client.getChallengeKeyAuthorization(challenge));
      await client.completeChallenge(challenge);
    }
    await until("the authority's questions", { clock, signal }, async () =>
      statusOf(await client.getAuthorizations(placed)),
    );
  } finally {
    await Promise.allSettled(tokens.map((token) => folder.removeChallenge(token)));
  }
  const key = makeKey();
  const [, csr] = await crypto.createCsr({ commonName: hosts[0] as string, altNames: [...hosts] }, key);
  const finalized = await client.finalizeOrder(placed, csr);
  await until("the order", { clock, signal }, async () => statusOf([await client.getOrder(finalized)]));
  const chain = await client.getCertificate(await client.getOrder(finalized));
  return `${chain.trim()}\n${key}`;
}

function statusOf(all: readonly { readonly status: string }[]): "valid" | "invalid" | "pending" {
  if (all.some(({ status }) => !/^(?:pending|processing|ready|valid)$/.test(status))) return "invalid";
  return all.every(({ status }) => status === "valid") ? "valid" : "pending";
}

/** Asks until it is so, at once and then less and less often. */
async function until(
  what: string,
  { clock, signal }: Pick<OrderParts, "clock" | "signal">,
  ask: () => Promise<"valid" | "invalid" | "pending">,
): Promise<void> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, lastPauseMs)) {
    signal.throwIfAborted();
    const status = await ask();
    if (status === "valid") return;
    if (status === "invalid") throw new Error(`${what} did not go well: the authority calls it invalid`);
    await clock.sleep(pauseMs, signal);
  }
}

/** It becomes the name of a file. */
function checkToken(token: string): string {
  if (/^[\w-]{1,128}$/.test(token)) return token;
  throw new Error("the authority's token is none");
}

function makeKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}
