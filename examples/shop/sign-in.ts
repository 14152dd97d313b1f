import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

/**
 * Signs in from a terminal, as any native program does (RFC 8252): opens a port of this machine for a moment, lets the
 * person sign in with their browser, and changes the code that comes back for a token. Needs nothing but Node.
 *
 *     token=$(node --import tsx examples/shop/sign-in.ts)
 *     curl -H "authorization: Bearer $token" http://127.0.0.1:8080/account
 */
export async function signIn(issuer: string, scope: string, show: (address: string) => void): Promise<string> {
  const { authorization_endpoint, token_endpoint } = await metadataOf(issuer);
  const verifier = randomBytes(32).toString("base64url");
  const state = randomBytes(16).toString("base64url");
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
    const question = new URLSearchParams({
      client_id: "terminal",
      response_type: "code",
      redirect_uri: redirectUri,
      scope,
      state,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    });
    const answered = waitForCode(server, state, issuer);
    show(`${authorization_endpoint}?${question}`);
    const code = await answered;
    const answer = await fetch(token_endpoint, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: "terminal",
        code,
        redirect_uri: redirectUri,
        code_verifier: verifier,
      }),
    });
    const body = (await answer.json()) as { access_token?: string; error?: string; error_description?: string };
    if (body.access_token === undefined) throw new Error(`${body.error}: ${body.error_description}`);
    return body.access_token;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

interface Metadata {
  readonly issuer: string;
  readonly authorization_endpoint: string;
  readonly token_endpoint: string;
}

async function metadataOf(issuer: string): Promise<Metadata> {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
  const metadata = (await answer.json()) as Metadata;
  if (metadata.issuer !== issuer) throw new Error(`${issuer} calls itself ${metadata.issuer}`);
  return metadata;
}

/** What comes back counts only with our state, and from the issuer that was asked (RFC 9207). */
function waitForCode(server: ReturnType<typeof createServer>, state: string, issuer: string): Promise<string> {
  return new Promise((resolve, reject) => {
    server.on("request", (req: IncomingMessage, res) => {
      const { pathname, searchParams } = new URL(req.url ?? "/", "http://127.0.0.1");
      const isOurs = searchParams.get("state") === state && searchParams.get("iss") === issuer;
      if (pathname !== "/callback" || !isOurs) {
        res.writeHead(404).end();
        return;
      }
      res.writeHead(200, { "content-type": "text/plain; charset=utf-8", connection: "close" });
      res.end("You can close this page and go back to the terminal.\n");
      const code = searchParams.get("code");
      if (code !== null) resolve(code);
      else reject(new Error(`not signed in: ${searchParams.get("error")}`));
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [issuer = "http://127.0.0.1:8080/auth", scope = "openid profile email"] = process.argv.slice(2);
  const show = (address: string) => void process.stderr.write(`Open this address in a browser:\n\n${address}\n\n`);
  process.stdout.write(`${await signIn(issuer, scope, show)}\n`);
}
