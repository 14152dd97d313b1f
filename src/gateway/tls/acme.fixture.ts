import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestAuthority } from "./tls.fixture.ts";

/** For tests: an authority that speaks as much ACME as a certificate takes. */
export interface AcmeServer {
  readonly directory: string;
  /** Requests by path. */
  readonly orders: number;
  readonly accounts: number;
  /** Answers of challenges that it fetched. */
  readonly proofs: readonly string[];
  /** What every order is answered with from now on; undefined for a certificate. */
  failure: { readonly status: number; readonly type: string } | undefined;
  /** How long its certificates live, in days. */
  days: number;
  /** True: it never comes to an end with a challenge. */
  isSlow: boolean;
  stop(): void;
}

/** `proofAt`: where it asks for a challenge's answer, whatever the host's name. */
export async function startAcmeServer(known: TestAuthority, proofAt: () => string): Promise<AcmeServer> {
  let orders = 0;
  let nonce = 0;
  let thumbprint = "";
  let identifiers: unknown[] = [];
  let orderStatus = "pending";
  let challengeStatus = "pending";
  let pem = "";
  const accounts = new Set<string>();
  const proofs: string[] = [];
  let base = "";

  const answer = (res: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const type = status >= 400 ? "application/problem+json" : "application/json";
    res.writeHead(status, { "content-type": type, "replay-nonce": `n${nonce++}`, ...headers });
    res.end(text);
  };
  const order = () => ({
    status: orderStatus,
    identifiers,
    authorizations: [`${base}/authz`],
    finalize: `${base}/finalize`,
    ...(orderStatus === "valid" && { certificate: `${base}/cert` }),
  });
  const challenge = () => ({ type: "http-01", url: `${base}/challenge`, token: "token-1", status: challengeStatus });
  const handlers: Record<string, (res: ServerResponse, payload: any, header: any) => unknown> = {
    "/directory": (res) =>
      answer(res, 200, {
        newNonce: `${base}/nonce`,
        newAccount: `${base}/account`,
        newOrder: `${base}/order`,
        revokeCert: `${base}/revoke`,
        keyChange: `${base}/key`,
      }),
    "/nonce": (res) => answer(res, 200, ""),
    "/account": (res, _payload, { jwk }) => {
      const { crv, kty, x, y } = jwk as Record<string, string>;
      thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
      accounts.add(thumbprint);
      answer(res, 201, { status: "valid" }, { location: `${base}/account/1` });
    },
    "/order": (res, payload) => {
      orders++;
      if (server.failure) return answer(res, server.failure.status, { type: server.failure.type, detail: "no" });
      identifiers = payload.identifiers;
      orderStatus = "pending";
      challengeStatus = "pending";
      answer(res, 201, order(), { location: `${base}/order/1` });
    },
    "/order/1": (res) => answer(res, 200, order()),
    "/authz": (res) =>
      answer(res, 200, { status: challengeStatus, identifier: identifiers[0], challenges: [challenge()] }),
    "/challenge": async (res, payload) => {
      if (payload !== "") {
        const got = await fetch(`${proofAt()}/.well-known/acme-challenge/token-1`).then((each) => each.text());
        proofs.push(got);
        challengeStatus = got === `token-1.${thumbprint}` ? (server.isSlow ? "pending" : "valid") : "invalid";
        if (challengeStatus === "valid") orderStatus = "ready";
      }
      answer(res, 200, challenge());
    },
    "/finalize": (res, payload) => {
      writeFileSync(known.path("acme.csr"), Buffer.from(payload.csr as string, "base64url"));
      const signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-copy_extensions", "copy"];
      const request = ["x509", "-req", "-inform", "DER", "-in", "acme.csr", "-days", String(server.days)];
      pem = execFileSync("openssl", [...request, ...signer], { cwd: known.folder, stdio: "pipe" }).toString();
      orderStatus = "valid";
      answer(res, 200, order());
    },
    "/cert": (res) => answer(res, 200, `${pem}${known.ca}`, { "content-type": "application/pem-certificate-chain" }),
  };
  const http = createServer(async (req: IncomingMessage, res) => {
    let text = "";
    for await (const chunk of req) text += chunk;
    const jws = text === "" ? { payload: "", protected: "" } : JSON.parse(text);
    const decode = (part: string) => Buffer.from(part, "base64url").toString();
    const payload = jws.payload === "" ? "" : JSON.parse(decode(jws.payload));
    const header = jws.protected === "" ? {} : JSON.parse(decode(jws.protected));
    const handler = handlers[req.url ?? ""];
    if (handler) await handler(res, payload, header);
    else answer(res, 404, { type: "urn:ietf:params:acme:error:malformed" });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const server: AcmeServer = {
    directory: `${base}/directory`,
    get orders() {
      return orders;
    },
    get accounts() {
      return accounts.size;
    },
    proofs,
    failure: undefined,
    days: 90,
    isSlow: false,
    stop() {
      http.closeAllConnections();
      http.close();
    },
  };
  return server;
}
