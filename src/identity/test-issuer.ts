import { generateKeyPairSync } from "node:crypto";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { JWK } from "jose";
import { exportJWK, SignJWT } from "jose";

/** An issuer on a port of its own, which can rotate its keys, be down, and say wrong things. For tests. */
export interface TestIssuer {
  readonly url: string;
  readonly requests: string[];
  /** What it serves; may be changed. */
  readonly state: { isDown: boolean; metadata: Record<string, unknown>; keys: JWK[]; status: number };
  /** Signs with the newest key. */
  sign(claims?: object, header?: object): Promise<string>;
  /** Makes a new key; the old ones stay published unless `drop`. */
  rotate(drop?: boolean): Promise<void>;
  stop(): Promise<void>;
}

export async function startIssuer(options: {
  readonly now: () => number;
  readonly path?: string;
}): Promise<TestIssuer> {
  const state: TestIssuer["state"] = { isDown: false, metadata: {}, keys: [], status: 200 };
  const requests: string[] = [];
  let pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  let kid = "";
  let count = 0;
  const server: Server = createServer((req, res) => {
    requests.push(req.url as string);
    if (state.isDown) return req.socket.destroy();
    const isKeys = req.url === "/jwks";
    if (!isKeys && !/^(?:\/[a-z]+)?\/\.well-known\/openid-configuration$/.test(req.url as string)) {
      res.writeHead(404).end("{}");
      return;
    }
    res.writeHead(state.status, { "content-type": "application/json", location: `${url}/jwks` });
    res.end(JSON.stringify(isKeys ? { keys: state.keys } : state.metadata));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const url = `${origin}${options.path ?? ""}`;
  state.metadata = { issuer: url, jwks_uri: `${origin}/jwks` };
  const rotate = async (drop = false): Promise<void> => {
    pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    kid = `key-${++count}`;
    const jwk = { ...(await exportJWK(pair.publicKey)), kid, alg: "ES256", use: "sig" };
    state.keys = drop ? [jwk] : [...state.keys, jwk];
  };
  await rotate();
  return {
    url,
    requests,
    state,
    rotate,
    sign(claims = {}, header = {}) {
      const iat = Math.floor(options.now() / 1000);
      const payload = { iss: url, aud: "shop", sub: "u1", client_id: "c1", iat, exp: iat + 300, jti: "1", ...claims };
      return new SignJWT(JSON.parse(JSON.stringify(payload)))
        .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid, ...header })
        .sign(pair.privateKey);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
