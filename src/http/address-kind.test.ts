import assert from "node:assert/strict";
import { test } from "node:test";
import type { AddressKind } from "./address-kind.ts";
import { addressKindOf } from "./address-kind.ts";

const cases: Readonly<Record<AddressKind, readonly string[]>> = {
  public: ["8.8.8.8", "1.1.1.1", "172.32.0.1", "192.169.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"],
  private: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1"],
  loopback: ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1"],
  "link-local": [
    ...["169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"],
    ...["168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"],
  ],
  reserved: [
    ...["0.0.0.0", "0.1.2.3", "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "255.255.255.255"],
    ...["::", "::7f00:1", "2001:db8::1", "2002:7f00:1::", "2001::1", "ff02::1", "64:ff9b:1::1", "::ffff:0:0"],
  ],
};

for (const [kind, addresses] of Object.entries(cases)) {
  for (const address of addresses) test(`${address} is ${kind}`, () => assert.equal(addressKindOf(address), kind));
}

test("what is no address has no kind", () => {
  for (const text of ["", "localhost", "1.2.3", "0x7f.1", "[::1]", "::g"]) assert.equal(addressKindOf(text), undefined);
});
