import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import { connect } from "node:http2";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { newId, StartError } from "../base/index.ts";
import { provider } from "../provider/index.ts";
import { app } from "./app.ts";
import { createRuntime } from "./runtime.ts";

let folder = "";
let missing = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "plinth-provider-tls-"));
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-out", "cert.pem"];
  try {
    execFileSync("openssl", ["req", "-x509", ...key, ...names], { cwd: folder, stdio: "pipe" });
  } catch (thrown) {
    missing = `no certificate, since openssl failed: ${String(thrown).slice(0, 100)}`;
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

const callback = "https://shop.example.com/callback";

const create = (environment: Readonly<Record<string, string>>) =>
  createRuntime(
    app({
      name: "secure",
      services: [],
      gateway: {
        tls: { certificate: join(folder, "cert.pem"), key: join(folder, "key.pem") },
        identity: { provider: provider({ clients: [{ id: "web", kind: "browser", redirectUris: [callback] }] }) },
      },
    }),
    {
      management: false,
      environment: {
        NODE_ENV: "development",
        PLINTH_LOG: "silent",
        PLINTH_DATA: join(folder, "data"),
        DATABASE_URL: `pglite:memory:${newId()}`,
        ...environment,
      },
    },
  );

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ask(session: ClientHttp2Session, path: string, headers: IncomingHttpHeaders = {}, body?: string) {
  const stream = session.request({ ":path": path, ":method": body === undefined ? "GET" : "POST", ...headers });
  const answered = new Promise<IncomingHttpHeaders>((resolve, reject) =>
    stream.once("response", resolve).once("error", reject),
  );
  stream.end(body);
  const answer = await answered;
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) text += chunk;
  return { status: answer[":status"] as unknown as number, headers: answer, text };
}

test("a provider over TLS must be told its address, which no certificate tells alone", async (t) => {
  if (missing) return t.skip(missing);
  await assert.rejects(create({ PORT: "8443" }), (thrown) => {
    assert.ok(thrown instanceof StartError && thrown.reason === "ISSUER_URL_MISSING");
    return true;
  });
});

test("a person signs in over HTTP/2, with cookies that belong to this host and to TLS alone", async (t) => {
  if (missing) return t.skip(missing);
  const port = await freePort();
  const origin = `https://localhost:${port}`;
  const runtime = await create({ PORT: String(port), PLINTH_URL: origin });
  await runtime.start();
  const session = connect(origin, { ca: readFileSync(join(folder, "cert.pem")) });
  try {
    const metadata = await ask(session, "/.well-known/oauth-authorization-server/auth");
    assert.equal(JSON.parse(metadata.text).authorization_endpoint, `${origin}/auth/authorize`);
    const query = new URLSearchParams({
      client_id: "web",
      response_type: "code",
      redirect_uri: callback,
      scope: "openid",
      code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      code_challenge_method: "S256",
    });
    const cookies = new Map<string, string>();
    const step = async (path: string, body?: string) => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const type = body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded", origin };
      const answer = await ask(session, path, { cookie, accept: "text/html", ...type }, body);
      for (const line of answer.headers["set-cookie"] ?? []) {
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        assert.match(line, /; secure(;|$)/i);
        if (value !== "") cookies.set(name, value);
      }
      return answer;
    };
    const begun = await step(`/auth/authorize?${query}`);
    assert.equal(begun.status, 303, begun.text);
    const place = begun.headers.location as string;
    const page = await step(place);
    assert.equal(page.status, 200);
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? "";
    const password = readFileSync(join(folder, "data", "developer-password"), "utf8").trim();
    const form = new URLSearchParams({ csrf, name: "developer", password, do: "sign-in" });
    const signed = await step(place, form.toString());
    assert.equal(signed.status, 303, signed.text);
    const { pathname } = new URL(signed.headers.location as string);
    const back = await step(pathname);
    assert.match(back.headers.location as string, /^https:\/\/shop\.example\.com\/callback\?code=/);
    assert.ok(cookies.has("__Host-plinth-session") && cookies.has("__Host-plinth-session.sig"));
  } finally {
    session.destroy();
    await runtime.stop();
  }
});
