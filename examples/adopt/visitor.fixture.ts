import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";

/** A key as an operator would set it. */
function newKey() {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

export const environment = {
  NODE_ENV: "test",
  PLINTH_LOG: "silent",
  PLINTH_TOKEN_KEY: newKey().export({ type: "pkcs8", format: "pem" }) as string,
  SHOP_KEY: "under the mat",
};

/** A trace that began at some caller of ours. */
const id = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";
export const trace = { id, spanId, traceparent: `00-${id}-${spanId}-01` };

/** A good token with the signature of another key. */
export function forge(token: string): string {
  const text = token.slice(0, token.lastIndexOf("."));
  const signature = sign("sha256", Buffer.from(text), { key: newKey(), dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

export async function signIn(url: string): Promise<string> {
  const answer = await post(`${url}/staff/sessions`, { name: "ada", key: environment.SHOP_KEY });
  assert.equal(answer.status, 201);
  return ((await answer.json()) as { token: string }).token;
}

export function post(
  url: string,
  body: unknown,
  token?: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: {
      ...headers,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}
