import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { connect } from "node:tls";
import { systemClock } from "../base/index.ts";
import { issuer, memoryReplayStore } from "../identity/index.ts";
import { testIdentity } from "../identity/testing.ts";
import { t } from "../schema/index.ts";
import { method } from "../service/index.ts";
import type { GatewayOptions } from "./gateway.ts";
import { ask, request, silent, testGateway } from "./testing.ts";
import type { TestAuthority } from "./tls/tls.fixture.ts";
import { testAuthority } from "./tls/tls.fixture.ts";
import { createGatewayTls } from "./tls/tls.ts";
import { compact, publicJwk, sha256, signer, thumbprint } from "./tokens/forge.fixture.ts";

const login = signer("P-256", "login", "ES256");
const client = signer("P-256", "client", "ES256");
const now = () => Math.floor(systemClock.wallNow() / 1000);

function tokenWith(cnf: object): string {
  const url = "https://login.example.com";
  const payload = { iss: url, aud: "shop", sub: "u1", client_id: "c1", iat: now(), exp: now() + 60, cnf };
  return compact({ alg: "ES256", typ: "at+jwt", kid: login.kid }, payload, login);
}

let proofCount = 0;
function proofOf(token: string, htu: string): string {
  const header = { alg: "ES256", typ: "dpop+jwt", jwk: publicJwk(client.key) };
  const payload = { jti: `${++proofCount}`, htm: "GET", htu, iat: now(), ath: sha256(token) };
  return compact(header, payload, client);
}

async function started(context: TestContext, options: Partial<GatewayOptions>): Promise<number> {
  const keys = { keys: [{ ...login.jwk, kty: "EC" }] };
  const authenticator = testIdentity(
    undefined,
    systemClock,
    { issuers: [issuer({ url: "https://login.example.com", audience: "shop", keys })], dpop: true },
    { replays: memoryReplayStore(systemClock) },
  );
  const known = method({ http: "GET /known", response: t.Object({}) });
  const gateway = testGateway({ known: { method: known, handle: () => ({}) } }, { authenticator, ...options });
  context.after(() => gateway.stop());
  return (await gateway.start()).port;
}

test("a proof names the address that the client asked for, also behind a proxy of ours", async (context) => {
  const port = await started(context, { trustedProxies: { proxies: ["127.0.0.1"], host: true } });
  const token = tokenWith({ jkt: thumbprint(client.jwk) });
  const from = async (htu: string, headers: Record<string, string>) => {
    const shown = { Authorization: `DPoP ${token}`, DPoP: proofOf(token, htu), ...headers };
    return (await ask(port, request("GET /known?page=2", shown))).status;
  };
  const proxied = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "api.example.com",
  };
  assert.equal(await from("https://api.example.com/known", proxied), 200);
  assert.equal(await from("https://API.example.com:443/%6bnown", proxied), 200);
  assert.equal(await from("http://test/known", proxied), 401);
  assert.equal(await from("https://api.example.com/known", {}), 401);
  assert.equal(await from("http://test/known", {}), 200);
});

test("what a client says of itself without a proxy of ours changes no address", async (context) => {
  const port = await started(context, {});
  const token = tokenWith({ jkt: thumbprint(client.jwk) });
  const shown = (htu: string) => ({
    Authorization: `DPoP ${token}`,
    DPoP: proofOf(token, htu),
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "api.example.com",
  });
  assert.equal((await ask(port, request("GET /known", shown("https://api.example.com/known")))).status, 401);
  assert.equal((await ask(port, request("GET /known", shown("http://test/known")))).status, 200);
});

test("a token that is bound to a certificate is good on a connection that shows it, and on no other", async (context) => {
  const authority = testAuthority();
  if (!authority) return context.skip("no openssl");
  context.after(() => authority.remove());
  authority.issue("server", "DNS:localhost,IP:127.0.0.1");
  authority.issue("robot", "DNS:robot");
  authority.issue("thief", "DNS:thief");
  const tls = await createGatewayTls(
    {
      certificate: authority.path("server.pem"),
      key: authority.path("server.key"),
      clients: { authority: authority.path("ca.pem") },
    },
    { clock: systemClock, log: silent(), metrics: undefined },
  );
  const port = await started(context, { tls });
  const { raw } = new X509Certificate(authority.read("robot.pem"));
  const token = tokenWith({ "x5t#S256": createHash("sha256").update(raw).digest("base64url") });
  const status = async (name: string | undefined, bearer = token) =>
    statusOver(await shaken(port, authority, name), bearer);
  assert.equal(await status("robot"), 200);
  assert.equal(await status("robot"), 200, "remembered, and looked at again");
  assert.equal(await status("thief"), 401);
  assert.equal(await status(undefined), 401);
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const other = thumbprint(publicKey.export({ format: "jwk" }) as Record<string, unknown>);
  assert.equal(await status("robot", tokenWith({ "x5t#S256": other })), 401);
});

async function shaken(port: number, authority: TestAuthority, name: string | undefined) {
  const shown = name === undefined ? {} : { cert: authority.read(`${name}.pem`), key: authority.read(`${name}.key`) };
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca: authority.ca, ...shown });
  await once(socket, "secureConnect");
  return socket;
}

async function statusOver(socket: Awaited<ReturnType<typeof shaken>>, token: string): Promise<number> {
  socket.setEncoding("latin1");
  socket.write(request("GET /known", { Authorization: `Bearer ${token}`, Connection: "close" }));
  let text = "";
  for await (const chunk of socket) text += chunk;
  return Number(text.slice(9, 12));
}
