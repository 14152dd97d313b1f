import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { StartError } from "../../base/index.ts";
import { parseAddress } from "./address.ts";
import engine from "./index.ts";

describe("the URL of a Postgres server", () => {
  const parse = (text: string) => parseAddress(new URL(text));

  test("gives every part, decoded, and libpq's defaults", () => {
    assert.deepEqual(parse("postgres://us%40er:p%2Fw@db.example:6543/sh%20op?application_name=shop&pool_size=25"), {
      host: "db.example",
      port: 6543,
      user: "us@er",
      password: "p/w",
      database: "sh op",
      tls: false,
      applicationName: "shop",
      poolSize: 25,
      pooled: false,
      direct: undefined,
    });
    const plain = parse("postgresql://[::1]");
    assert.deepEqual([plain.host, plain.port, plain.user, plain.database], ["::1", 5432, undefined, undefined]);
    assert.equal(parse("postgres:///shop?host=/run/postgresql").host, "/run/postgresql");
  });

  test("names a pooler, and the way past it", () => {
    const pooled = (query: string) => {
      const { pooled: is, direct } = parse(`postgres://bouncer:6432/shop?${query}`);
      return [is, direct];
    };
    assert.deepEqual(pooled("pooler=none"), [false, undefined]);
    assert.deepEqual(pooled("pooler=transaction"), [true, undefined]);
    assert.deepEqual(pooled("pooler=transaction&direct=db:5433"), [true, { host: "db", port: 5433 }]);
    assert.deepEqual(pooled("pooler=transaction&direct=[::1]"), [true, { host: "::1", port: 5432 }]);
  });

  test("means by sslmode what libpq means", () => {
    const folder = mkdtempSync(join(tmpdir(), "plinth-tls-"));
    const ca = join(folder, "ca.pem");
    writeFileSync(ca, "certificate");
    const tls = (query: string) => {
      const found = parse(`postgres://db/shop?${query}`).tls;
      return (
        found && { verifies: found.rejectUnauthorized, anyName: found.checkServerIdentity !== undefined, ca: found.ca }
      );
    };
    assert.equal(tls("sslmode=disable"), false);
    assert.deepEqual(tls("sslmode=require"), { verifies: false, anyName: true, ca: undefined });
    assert.deepEqual(tls(`sslmode=require&sslrootcert=${ca}`), { verifies: true, anyName: true, ca: "certificate" });
    assert.deepEqual(tls(`sslmode=verify-ca&sslrootcert=${ca}`), { verifies: true, anyName: true, ca: "certificate" });
    assert.deepEqual(tls("sslmode=verify-full"), { verifies: true, anyName: false, ca: undefined });
    const both = parse(`postgres://db/shop?sslmode=verify-full&sslcert=${ca}&sslkey=${ca}`).tls;
    assert.deepEqual(both && [both.cert, both.key], ["certificate", "certificate"]);
    const checked = parse("postgres://db?sslmode=verify-ca").tls;
    assert.equal((checked || undefined)?.checkServerIdentity?.("name", {} as never), undefined);
    rmSync(folder, { recursive: true });
  });

  test("is refused when part of it would be ignored, without showing the password", () => {
    const cases: [string, RegExp][] = [
      ["?sslmode=prefer", /sslmode=prefer is not served: choose disable, require/],
      ["?sslrootcert=/ca.pem", /sslrootcert has no effect without sslmode/],
      ["?sslmode=require&sslrootcert=/nowhere/ca.pem", /cannot be read \(ENOENT\)/],
      ["?statement_timeout=5", /statement_timeout is not known; there are application_name/],
      ["?pooler=statement", /pooler=statement is not served: choose transaction/],
      ["?direct=db", /direct has no effect without pooler=transaction/],
      ["?pooler=transaction&direct=db:port", /as in direct=db\.internal:5432/],
      ["?pooler=transaction&direct=db:65536", /as in direct=db\.internal:5432/],
      ["?pool_size=0", /whole number from 1 to 1000/],
    ];
    for (const [query, pattern] of cases) {
      assert.throws(
        () => parse(`postgres://user:hidden@db/shop${query}`),
        (thrown) => {
          assert.ok(thrown instanceof StartError);
          assert.match(thrown.message, pattern);
          assert.doesNotMatch(thrown.message, /hidden/);
          return true;
        },
      );
    }
    assert.throws(() => parse("postgres:///shop"), /names no host/);
  });

  test("makes a driver that has not connected yet", () => {
    const driver = engine.ports.database?.(new URL("postgres://db.invalid/shop?pool_size=4"));
    assert.deepEqual(driver?.stats, { open: 0, idle: 0, waiting: 0, size: 4, queueSizeMax: 200 });
    assert.equal(driver?.flags.durability, "power-loss");
  });
});
