import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { EdgeCandidate } from "./candidate.ts";
import { origin } from "./candidate.ts";
import { orderBody, orderOf, orderPath, status, statusPath, wrongBody } from "./order.ts";

/** A candidate that answers wrongly is fast for nothing: everything is proven before it is measured. */
export async function proveAnswers({ name, facts }: EdgeCandidate, token: string): Promise<void> {
  const get = await ask(facts.url, token);
  assert.deepEqual(await get.json(), status, `${name}: GET`);
  assert.match(get.headers.get("content-type") ?? "", /^application\/json/, `${name}: GET`);
  const post = await ask(facts.url, token, orderBody);
  assert.equal(post.status, 200, `${name}: POST`);
  assert.deepEqual(await post.json(), orderOf("harbour", orderBody), `${name}: POST`);
  const refused = await ask(facts.url, token, wrongBody);
  assert.ok(
    refused.status === 400 || refused.status === 422,
    `${name}: a wrong body was answered with ${refused.status}`,
  );
}

/** What Plinth claims to have on is on, by what it does. */
export async function proveFeatures({ facts }: EdgeCandidate, token: string): Promise<void> {
  const forged = `${token.slice(0, -8)}${token.endsWith("A") ? "B" : "A".repeat(8)}`;
  for (const body of [undefined, orderBody]) {
    assert.equal((await ask(facts.url, forged, body)).status, 401, "a forged token was let in");
    assert.equal((await ask(facts.url, undefined, body)).status, 401, "no token was let in");
  }
  const before = await countAnswers(facts.management);
  const { headers } = await ask(facts.url, token);
  assert.equal(headers.get("access-control-allow-origin"), origin, "CORS is off");
  for (const name of ["x-content-type-options", "content-security-policy", "cross-origin-resource-policy"]) {
    assert.ok(headers.get(name), `the header ${name} is missing`);
  }
  const wrong = (await (await ask(facts.url, token, wrongBody)).json()) as { status: number; violations: unknown[] };
  assert.equal(wrong.status, 422, "validation is off");
  assert.equal((wrong.violations[0] as { pointer: string }).pointer, "/items/0/quantity", "validation is off");
  assert.equal((await countAnswers(facts.management)) - before, 2, "metrics are off");
}

/** After the load: the samples of log and trace are there, and no larger than they should be. */
export async function proveSamples(candidate: EdgeCandidate): Promise<void> {
  await sleep(500);
  const answers = await countAnswers(candidate.facts.management);
  const lines = readFileSync(candidate.output, "utf8").split('"msg":"request"').length - 1;
  assertShare("access log", lines / answers, 0.005, 0.05);
  // A request is a span at the edge and one in the service.
  assertShare("traces", (await candidate.ask<number>("spans")) / answers, 0.01, 0.05);
}

function assertShare(what: string, share: number, min: number, max: number): void {
  assert.ok(share >= min && share <= max, `${what}: ${(share * 100).toFixed(2)} % of the requests were sampled`);
}

async function countAnswers(management: string | undefined): Promise<number> {
  const text = await (await fetch(`${management}/metrics`)).text();
  const counts = text.matchAll(/^http_server_request_duration_seconds_count\{.*\} (\S+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
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
