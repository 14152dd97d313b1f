import assert from "node:assert/strict";
import { cargo, cargoPath, scarcePath, scarceQuota } from "./cargo.ts";
import type { HopCandidate } from "./hop-program.ts";

/** Every answer is the upstream's, both ways; whatever a candidate claims to refuse, it refuses. */
export async function proveHop({ name, url, checksTokens, hasLimits }: HopCandidate, token: string): Promise<void> {
  const get = await ask(url + cargoPath, token);
  assert.equal(get.status, 200, `${name}: GET`);
  assert.equal(await get.text(), cargo, `${name}: GET`);
  assert.match(get.headers.get("content-type") ?? "", /^application\/json/, `${name}: GET`);
  const sent = JSON.stringify({ ...JSON.parse(cargo), note: "€ 1.000, mañana" });
  const post = await ask(url + cargoPath, token, sent);
  assert.equal(post.status, 200, `${name}: POST`);
  assert.equal(await post.text(), sent, `${name}: POST`);
  if (checksTokens) {
    assert.equal(await statusOf(url + cargoPath, forged(token)), 401, `${name} let a forged token in`);
    assert.equal(await statusOf(url + cargoPath, undefined), 401, `${name} let somebody in without a token`);
  }
  if (hasLimits) await proveLimit(name, url, token);
}

async function proveLimit(name: string, url: string, token: string): Promise<void> {
  const statuses: number[] = [];
  for (let i = 0; i < scarceQuota + 2; i++) statuses.push(await statusOf(url + scarcePath, token));
  const expected = statuses.map((_, i) => (i < scarceQuota ? 200 : 429));
  assert.deepEqual(statuses, expected, `${name}: ${scarceQuota} requests in a minute were to be let in`);
}

/** The same token with another signature. */
function forged(token: string): string {
  const at = token.lastIndexOf(".") + 1;
  const signature = token.slice(at);
  return token.slice(0, at) + [...signature.slice(0, -4)].reverse().join("") + signature.slice(-4);
}

async function statusOf(url: string, token: string | undefined): Promise<number> {
  const answer = await ask(url, token);
  await answer.arrayBuffer();
  return answer.status;
}

function ask(url: string, token: string | undefined, body?: string): Promise<Response> {
  const headers = { ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  return body === undefined
    ? fetch(url, { headers })
    : fetch(url, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body });
}
