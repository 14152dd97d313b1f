import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, createSeededRandom } from "../base/index.ts";
import { createTokenIssuer, createTokenKeys, generateTokenSecret } from "../identity/index.ts";
import { testIdentity } from "../identity/testing.ts";
import { t } from "../schema/index.ts";
import { method } from "../service/index.ts";
import { ask, request, talk, testGateway } from "./testing.ts";

async function setUp() {
  const keys = await createTokenKeys({ secret: generateTokenSecret() });
  const clock = createManualClock();
  const who = { issuer: "shop", audience: "shop" };
  const issuer = createTokenIssuer({ keys, ...who, clock, random: createSeededRandom(1) });
  return { clock, issuer, authenticator: testIdentity({ name: "shop", keys }, clock) };
}

test("at the door: who gets in, and what the others are told", async (context) => {
  const { issuer, authenticator, clock } = await setUp();
  const subject = t.Object({ subject: t.String() });
  const handle = (_: unknown, call: { principal: { subject: string } }) => ({ subject: call.principal.subject });
  const gateway = testGateway(
    {
      open: { method: method({ http: "GET /open", access: "public", response: subject }), handle },
      known: { method: method({ http: "GET /known", response: subject }), handle },
      write: {
        method: method({ http: "POST /write", access: { scope: ["cart:read", "cart:write"] }, response: subject }),
        handle,
      },
    },
    { authenticator },
  );
  context.after(() => gateway.stop());
  const { port } = await gateway.start();
  const bearer = async (...scopes: string[]) => ({
    Authorization: `Bearer ${(await issuer.issue({ subject: "u1", scopes })).token}`,
  });
  const { token } = await issuer.issue({ subject: "u1", ttl: "10s" });
  const expired = { Authorization: `Bearer ${token}` };
  await clock.advance(60_000);
  const challenge = (rest: string) => `Bearer realm="shop"${rest}`;

  const cases: readonly (readonly [string, Record<string, string>, number, string])[] = [
    ["GET /open", {}, 200, ""],
    ["GET /open", await bearer(), 200, "u1"],
    ["GET /open", expired, 401, challenge(', error="invalid_token"')],
    ["GET /open", { Authorization: "Basic dTpw" }, 401, challenge("")],
    ["GET /known", {}, 401, challenge("")],
    ["GET /known?access_token=x", {}, 401, challenge("")],
    ["GET /known", await bearer(), 200, "u1"],
    ["GET /known", { Authorization: "Bearer nonsense" }, 401, challenge(', error="invalid_token"')],
    ["GET /known", { Authorization: "Bearer" }, 400, challenge(', error="invalid_request"')],
    ["POST /write", await bearer("cart:read", "cart:write"), 200, "u1"],
    [
      "POST /write",
      await bearer("cart:read"),
      403,
      challenge(', error="insufficient_scope", scope="cart:read cart:write"'),
    ],
    ["POST /write", await bearer(), 403, challenge(', error="insufficient_scope", scope="cart:read cart:write"')],
  ];
  for (const [line, headers, status, says] of cases) {
    // Twice: verified anew, and remembered.
    for (const _ of [1, 2]) {
      const answer = await ask(port, request(line, headers));
      assert.equal(answer.status, status, `${line} ${answer.body}`);
      if (status === 200) assert.equal(JSON.parse(answer.body).subject, says);
      else assert.equal(answer.headers["www-authenticate"], says);
      assert.doesNotMatch(answer.body, /jose|JWT|key/i);
    }
  }

  const upload = request("POST /write", {
    Expect: "100-continue",
    "Content-Length": "2",
    "Content-Type": "application/json",
  });
  const { text, answers } = await talk(port, upload);
  assert.equal(answers[0]?.status, 401);
  assert.doesNotMatch(text, /100 Continue/);
});
