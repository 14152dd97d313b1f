import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Credentials, type EdgeCandidate, type EdgeSpec, origin, startCandidate } from "./candidate.ts";
import { orderBody, orderOf, orderPath, status, statusPath, wrongBody } from "./order.ts";

/** A candidate that answers wrongly is fast for nothing: everything is proven before it is measured. */
export async function proveAnswers({ name, facts }: EdgeCandidate, token: string): Promise<void> {
  const get = await ask(facts.url, token);
  assert.equal(get.status, 200, `${name}: GET`);
  assert.deepEqual(await get.json(), status, `${name}: GET`);
  assert.match(get.headers.get("content-type") ?? "", /^application\/json/, `${name}: GET`);
  const post = await ask(facts.url, token, orderBody);
  assert.equal(post.status, 200, `${name}: POST`);
  assert.deepEqual(await post.json(), orderOf("harbour", orderBody), `${name}: POST`);
  const refused = await ask(facts.url, token, wrongBody);
  const isRefused = refused.status === 400 || refused.status === 422;
  assert.ok(isRefused, `${name}: a wrong body was answered with ${refused.status}`);
}

const securityHeaders = ["x-content-type-options", "content-security-policy", "cross-origin-resource-policy"] as const;

/** What it claims to have on is on, by what it does. */
export async function proveFeatures(candidate: EdgeCandidate, { token, weakToken }: Credentials): Promise<void> {
  const { name, facts } = candidate;
  const [head = "", payload = "", signature = ""] = token.split(".");
  const forged = [head, payload, signature.slice(0, -8) + (signature.endsWith("AAAAAAAA") ? "B" : "A").repeat(8)].join(
    ".",
  );
  for (const body of [undefined, orderBody]) {
    assert.equal((await ask(facts.url, forged, body)).status, 401, `${name}: a forged token was let in`);
    assert.equal((await ask(facts.url, undefined, body)).status, 401, `${name}: no token was let in`);
    assert.equal((await ask(facts.url, weakToken, body)).status, 403, `${name}: a token without the scope was let in`);
  }
  const before = await candidate.ask<number>("answered");
  const { headers } = await ask(facts.url, token);
  assert.equal(headers.get("access-control-allow-origin"), origin, `${name}: CORS is off`);
  for (const header of securityHeaders) assert.ok(headers.get(header), `${name}: the header ${header} is missing`);
  assert.ok(
    ["ratelimit", "x-ratelimit-limit", "ratelimit-limit", "x-ratelimit-limit-default"].some((each) =>
      headers.get(each),
    ),
    `${name}: its answers do not tell of a limit`,
  );
  await ask(facts.url, token, orderBody);
  await sleep(20);
  assert.equal((await candidate.ask<number>("answered")) - before, 2, `${name}: metrics are off`);
}

/** The same program with a quota that can be reached: what is over it is refused, for this caller and no other. */
export async function proveLimit(spec: EdgeSpec, core: number, { token, weakToken }: Credentials): Promise<void> {
  const candidate = await startCandidate(spec, core, 5);
  try {
    for (let i = 0; i < 5; i++)
      assert.equal((await ask(candidate.facts.url, token)).status, 200, `${spec.name}: limit`);
    assert.equal((await ask(candidate.facts.url, token)).status, 429, `${spec.name}: the limit is off`);
    assert.equal(
      (await ask(candidate.facts.url, weakToken)).status,
      403,
      `${spec.name}: the limit is not by principal`,
    );
  } finally {
    await candidate.stop();
  }
}

/** After the load: lines and traces are there, as many as there should be. */
export async function proveSamples(candidate: EdgeCandidate): Promise<void> {
  const { name, spec, output } = candidate;
  if (!spec.features) return;
  const { traced, logged, spans = 1 } = spec.features;
  await sleep(500);
  const answers = await candidate.ask<number>("answered");
  const lines = readFileSync(output, "utf8").match(/"(?:msg|message)":"request(?: completed)?"/g)?.length ?? 0;
  if (logged === "each") assertShare(`${name}: lines`, lines / answers, 0.99, 1.01);
  else assertShare(`${name}: lines`, lines / answers, 0.005, 0.05);
  // A request may be a span, or one at each layer. Of a small sample, some are missing by chance.
  assertShare(`${name}: spans`, (await candidate.ask<number>("spans")) / answers, traced * 0.5 * spans, traced * 40);
}

function assertShare(what: string, share: number, min: number, max: number): void {
  assert.ok(share >= min && share <= max, `${what}: ${(share * 100).toFixed(2)} for each 100 requests`);
}

function ask(url: string, token: string | undefined, body?: object): Promise<Response> {
  const headers = { origin, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  return body === undefined
    ? fetch(url + statusPath, { headers })
    : fetch(url + orderPath, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
}
