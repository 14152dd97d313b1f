import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { after, before, test } from "node:test";
import { systemClock } from "../../base/index.ts";
import { http2Ask, http2Client } from "../http2/http2.fixture.ts";
import { silent, testGateway } from "../testing.ts";
import type { TestAuthority } from "../tls/tls.fixture.ts";
import { testAuthority } from "../tls/tls.fixture.ts";
import { createGatewayTls } from "../tls/tls.ts";
import { outsideSystem, realUpstream, tellAll } from "./proxy.fixture.ts";

let known: TestAuthority | undefined;
before(() => {
  known = testAuthority();
  known?.issue("host", "DNS:localhost,IP:127.0.0.1");
});
after(() => known?.remove());

async function fronting(t: TestContext, handle = tellAll) {
  const authority = known;
  if (!authority) {
    t.skip("openssl is needed");
    return undefined;
  }
  const pair = { certificate: authority.path("host.pem"), key: authority.path("host.key") };
  const tls = await createGatewayTls(pair, { clock: systemClock, log: silent(), metrics: undefined });
  const upstream = await realUpstream(t, "legacy", await outsideSystem(t, handle));
  const routes = [{ path: "/legacy/*", upstream: "legacy", access: "public" as const }];
  const gateway = testGateway({}, { outside: { upstreams: new Map([["legacy", upstream]]), routes }, tls });
  const { port } = await gateway.start();
  const session = http2Client(port, authority.ca);
  t.after(async () => {
    session.destroy();
    await gateway.stop();
  });
  return session;
}

test("a request over HTTP/2 leaves as one over HTTP/1.1, with one Cookie and no pseudo header", async (t) => {
  const session = await fronting(t);
  if (!session) return;
  const headers = { ":path": "/legacy/a?b=1", ":method": "POST", cookie: ["a=1", "b=2"], "x-own": "yes" };
  const { status, body } = await http2Ask(session, headers, "hello");
  assert.equal(status, 200, body);
  const got = JSON.parse(body);
  assert.deepEqual([got.method, got.url, got.body], ["POST", "/legacy/a?b=1", "hello"]);
  assert.deepEqual(
    [got.headers.cookie, got.headers["x-own"], got.headers["x-forwarded-proto"]],
    ["a=1; b=2", "yes", "https"],
  );
  assert.ok(got.rawHeaders.every((name: string) => !name.startsWith(":")));
});

test("large bodies pass in both directions over HTTP/2", async (t) => {
  const session = await fronting(t, (req, res) => void req.pipe(res));
  if (!session) return;
  const sent = "x".repeat(1_000_000);
  const { status, body } = await http2Ask(session, { ":path": "/legacy/echo", ":method": "POST" }, sent);
  assert.deepEqual([status, body.length], [200, sent.length]);
});
