import assert from "node:assert/strict";
import type { LookupAddress, lookup } from "node:dns";
import { describe, test } from "node:test";
import type { Egress } from "./egress.ts";
import { createEgressGuard, EgressRefusal } from "./egress.ts";

/** Names that mean what a test says, each time something else. */
function namesOf(...answers: (readonly string[])[]): typeof lookup {
  let turn = 0;
  const resolve = (_name: string, _options: unknown, callback: (cause: Error | null, found: unknown) => void) => {
    const addresses = answers[Math.min(turn++, answers.length - 1)] as readonly string[];
    const found = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    callback(addresses.length === 0 ? new Error("ENOTFOUND") : null, found);
  };
  return resolve as unknown as typeof lookup;
}

function resolved(egress: Egress, name: string, addresses: readonly string[], all = true): Promise<unknown> {
  const guard = createEgressGuard(egress, namesOf(addresses));
  return new Promise((resolve, reject) =>
    guard.lookup(name, { all }, (cause, found) => (cause ? reject(cause) : resolve(found))),
  );
}

const addressesOf = (found: unknown) => (found as LookupAddress[]).map(({ address }) => address);

describe("egress", () => {
  test("reaches public addresses and no others, unless told", async () => {
    assert.deepEqual(addressesOf(await resolved({}, "a.example", ["8.8.8.8"])), ["8.8.8.8"]);
    for (const address of ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "0.0.0.0", "::ffff:127.0.0.1"])
      await assert.rejects(resolved({}, "a.example", [address]), EgressRefusal, address);
    assert.deepEqual(addressesOf(await resolved({ addresses: ["private"] }, "a", ["10.0.0.1"])), ["10.0.0.1"]);
    await assert.rejects(resolved({ addresses: ["private"] }, "a", ["8.8.8.8"]), /8\.8\.8\.8 \(public\)/);
  });

  test("connects only to those of several addresses that may be reached", async () => {
    const found = await resolved({}, "a.example", ["127.0.0.1", "8.8.4.4", "10.0.0.1"]);
    assert.deepEqual(addressesOf(found), ["8.8.4.4"]);
    assert.equal(await resolved({}, "a.example", ["127.0.0.1", "8.8.4.4"], false), "8.8.4.4");
  });

  test("judges a name at each connection anew", async () => {
    const guard = createEgressGuard({}, namesOf(["8.8.8.8"], ["127.0.0.1"]));
    const ask = () =>
      new Promise((resolve) => guard.lookup("rebinding.example", { all: true }, (cause) => resolve(cause)));
    assert.equal(await ask(), null);
    assert.ok((await ask()) instanceof EgressRefusal);
  });

  test("tells of a name that does not resolve as it is", async () => {
    await assert.rejects(resolved({}, "a", []), /ENOTFOUND/);
  });

  test("refuses literal addresses before anything is asked", () => {
    const guard = createEgressGuard({ allow: ["10.0.0.5", "::1"] });
    for (const host of ["127.0.0.1", "[fe80::1]", "169.254.169.254", "10.0.0.6"])
      assert.ok(guard.refusalOf(host), host);
    for (const host of ["10.0.0.5", "[::1]", "8.8.8.8", "a.example"]) assert.equal(guard.refusalOf(host), undefined);
  });

  test("lets named hosts be anywhere, by their exact name or as subdomains", async () => {
    const egress: Egress = { allow: ["Issuer.internal", "*.corp.example"] };
    for (const name of ["issuer.internal", "ISSUER.internal.", "a.corp.example", "a.b.corp.example"])
      assert.deepEqual(addressesOf(await resolved(egress, name, ["127.0.0.1"])), ["127.0.0.1"], name);
    for (const name of ["evil-issuer.internal", "corp.example", "acorp.example", "issuer.internal.evil"])
      await assert.rejects(resolved(egress, name, ["127.0.0.1"]), EgressRefusal, name);
  });

  test("with allowOnly reaches nothing else", () => {
    const guard = createEgressGuard({ allow: ["a.example"], allowOnly: true });
    assert.equal(guard.refusalOf("a.example"), undefined);
    assert.match(guard.refusalOf("8.8.8.8")?.message ?? "", /not among the hosts/);
  });

  test("a wrong host in the list stops the start", () => {
    for (const host of ["https://a", "a:80", "a/b", "*", "*.", "a.*"])
      assert.throws(() => createEgressGuard({ allow: [host] }), { reason: "HTTP_EGRESS_WRONG" }, host);
  });
});
