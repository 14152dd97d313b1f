import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { JWK } from "jose";
import type { CompactToken } from "./compact-token.ts";
import { parseCompact } from "./compact-token.ts";
import { TokenFault } from "./errors.ts";
import { importKeys } from "./key-set.ts";
import { checkSignature } from "./token-verifier.ts";

interface Vectors {
  readonly public: JWK;
  readonly tests: readonly {
    readonly tcId: number;
    readonly comment: string;
    readonly jws: string;
    readonly result: "valid" | "invalid";
  }[];
}

const vectors = JSON.parse(
  readFileSync(new URL("./fixtures/wycheproof-es256.json", import.meta.url), "utf8"),
) as Vectors;

/** Their payload is a word and no claims, so the signature is judged by itself, as it is for every token. */
test("Wycheproof: signatures with ES256 are judged as its vectors say", async () => {
  const keys = await importKeys({ keys: [vectors.public] }, ["ES256"]);
  const key = keys.find("kid-ec-sign", "ES256");
  assert.ok(key);
  for (const { tcId, comment, jws, result } of vectors.tests) {
    const judged = checkSignature({ text: jws } as CompactToken, key);
    if (result === "valid") await judged;
    else await assert.rejects(judged, TokenFault, `${tcId} ${comment}`);
    // As an access token none of them is anything.
    assert.throws(() => parseCompact(jws, { lengthMax: 8192 }), TokenFault, `${tcId} ${comment}`);
  }
  assert.equal(vectors.tests.length, 15);
});
