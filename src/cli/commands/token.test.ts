import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemClock } from "../../base/index.ts";
import { createTokenKeys } from "../../identity/index.ts";
import { testIdentity } from "../../identity/testing.ts";
import { hello, run } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-token-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const environment = { NODE_ENV: "test", PLINTH_DATA: folder };

test("token signs for the subject and the scopes, with the key that the app checks", async () => {
  const { code, out } = await run(
    ["token", "ada", "--scope", "orders:read orders:write", "--role", "auditor", "--app", hello],
    {
      environment,
    },
  );
  assert.equal(code, 0);
  const keys = await createTokenKeys({ secret: readFileSync(join(folder, "token-key.pem"), "utf8") });
  const verifier = testIdentity({ name: "hello", keys }, systemClock);
  const principal = await verifier.verify(`Bearer ${out.trim()}`);
  assert.deepEqual(
    [principal.kind, principal.subject, principal.scopes],
    ["user", "ada", ["orders:read", "orders:write"]],
  );
  assert.deepEqual(principal.claims.roles, ["auditor"]);
});

test("token refuses to make up a key in production, and wants a subject", async () => {
  const production = await run(["token", "ada", "--app", hello], {
    environment: { ...environment, NODE_ENV: "production" },
  });
  assert.equal(production.code, 2);
  assert.match(production.err, /PLINTH_TOKEN_KEY: it is not set/);
  assert.equal((await run(["token", "--app", hello], { environment })).code, 2);
});
