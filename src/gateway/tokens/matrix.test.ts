import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { claimCases } from "./cases-claims.fixture.ts";
import { formCases } from "./cases-form.fixture.ts";
import { holderCases } from "./cases-holder.fixture.ts";
import { keyCases } from "./cases-keys.fixture.ts";
import type { TokenCase, TokenWorld } from "./matrix.fixture.ts";
import { bearer, boundTo, judge, ownToken, send, startTokenWorld } from "./matrix.fixture.ts";

/** Processor time that the whole process, client included, may need for one refusal. */
const cpuMsMax = 25;

describe("forged, malformed and misused tokens", () => {
  let world: TokenWorld;
  let cases: readonly TokenCase[];
  before(async () => {
    world = await startTokenWorld();
    cases = [...keyCases(world), ...claimCases(world), ...(await formCases(world)), ...(await holderCases(world))];
  });
  after(() => world.gateway.stop());

  const accepts = async () => {
    const token = boundTo(world);
    const good: Record<string, Record<string, string>> = {
      "a token of the app itself": bearer(await ownToken(world)),
      "a token of an issuer elsewhere": bearer(world.token("login")),
      "one that names two apps": bearer(world.token("login", { aud: ["other", "shop-admin"] })),
      "one with the whole type": bearer(world.token("login", {}, { typ: "application/at+JWT" })),
      "one at the edge of the leeway": bearer(world.token("login", { exp: world.now - 4, nbf: world.now + 4 })),
      "one of a lenient issuer": bearer(
        world.token("tenant", { client_id: undefined, iat: undefined }, { typ: "JWT" }),
      ),
      "one of a lenient issuer that names no key": bearer(
        world.token("tenant", {}, { kid: undefined, typ: undefined }),
      ),
      "one that names its certificate": bearer(world.token("login", {}, { x5t: "abc" })),
      "a bound token with its proof": { Authorization: `DPoP ${token}`, DPoP: world.proof(token) },
      "an API key": { "X-API-Key": world.apiKeys.make() },
      "an API key in Authorization": { Authorization: `ApiKey ${world.apiKeys.make()}` },
    };
    for (const [name, headers] of Object.entries(good)) {
      const answer = await send(world, { headers });
      assert.equal(answer.status, 200, `${name}: ${answer.body}`);
    }
  };

  test("what they were made from is good", accepts);

  test("none is let in, and each is told what it must be", async () => {
    const wrong: string[] = [];
    for (const each of cases) {
      const problem = await judge(world, each);
      if (problem !== undefined) wrong.push(`${each.group}: ${each.name}: ${problem}`);
    }
    assert.deepEqual(wrong, []);
  });

  test("the judge finds fault with what is let in, or told otherwise", async () => {
    const group = "control";
    const good = bearer(await ownToken(world));
    assert.match((await judge(world, { group, name: "good", headers: good })) ?? "", /^401 was due: 200/);
    const bad = bearer("x.y.z");
    assert.match((await judge(world, { group, name: "", headers: bad, status: 403 })) ?? "", /^403 was due: 401/);
    assert.match((await judge(world, { group, name: "", headers: bad, reason: "X" })) ?? "", /^X was due/);
    assert.match((await judge(world, { group, name: "", headers: bad, challenge: "-" })) ?? "", /challenge .* was due/);
  });

  test("there are at least 200 of them, and each is another one", () => {
    const seen = new Set(cases.map(({ line, headers }) => JSON.stringify([line, headers])));
    assert.ok(seen.size >= 200, `${seen.size}`);
    const names = new Set(cases.map(({ group, name }) => `${group}: ${name}`));
    assert.equal(names.size, cases.length);
    assert.equal(seen.size, cases.length, "two of them are the same");
  });

  test(`none costs more than ${cpuMsMax} ms of processor time`, async () => {
    const dear: string[] = [];
    for (const each of cases) {
      // The least of a few, since others use the machine too.
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 5 && least > cpuMsMax; i++) {
        const begin = process.cpuUsage();
        await send(world, each);
        const { user, system } = process.cpuUsage(begin);
        least = Math.min(least, (user + system) / 1000);
      }
      if (least > cpuMsMax) dear.push(`${each.group}: ${each.name}: ${least} ms`);
    }
    assert.deepEqual(dear, []);
  });

  test("and what is good is still good after all of them", accepts);
});
