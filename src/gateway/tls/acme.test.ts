import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { createManualClock, createSeededRandom, StartError, systemClock } from "../../base/index.ts";
import { createLogger, createMetrics } from "../../telemetry/index.ts";
import { createMemoryDestination } from "../../telemetry/testing.ts";
import { silent, testGateway } from "../testing.ts";
import type { AcmeServer } from "./acme.fixture.ts";
import { startAcmeServer } from "./acme.fixture.ts";
import type { Acme, AcmeOptions } from "./acme.ts";
import { createAcme } from "./acme.ts";
import { openAcmeFolder } from "./acme-folder.ts";
import { createPlainServer } from "./plain.ts";
import type { TestAuthority } from "./tls.fixture.ts";
import { testAuthority } from "./tls.fixture.ts";
import { createGatewayTls } from "./tls.ts";

const dayMs = 86_400_000;
const metrics = createMetrics();
const folders: string[] = [];
let authority: TestAuthority | undefined;
let server: AcmeServer;
/** Whoever answers the authority now. */
let answering: Acme | undefined;
let plainPort = 0;
const plain = createPlainServer({
  host: "127.0.0.1",
  port: 0,
  challenge: async (token) => answering?.challenge(token),
});

before(async () => {
  authority = testAuthority();
  plainPort = (await plain.start()).port;
  if (authority) server = await startAcmeServer(authority, () => `http://127.0.0.1:${plainPort}`);
});
after(async () => {
  server?.stop();
  await plain.stop();
  authority?.remove();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "plinth-acme-"));
  folders.push(folder);
  return folder;
}

async function client(folder: string, clock = createManualClock(Date.now()), more: Partial<AcmeOptions> = {}) {
  const options = { hosts: ["shop.test", "www.shop.test"], termsAgreed: true, ...more } as const;
  const random = createSeededRandom(1);
  const acme = await createAcme(
    { ...options, directory: server.directory },
    { folder, clock, random, log: silent(), metrics },
  );
  answering = acme;
  return { acme, clock };
}

test("a certificate is ordered, proven over port 80, kept for its owner alone, and not ordered again", async (t) => {
  if (!authority) return t.skip("no openssl");
  const folder = newFolder();
  const { acme } = await client(folder);
  const before = server.orders;
  assert.equal(await acme.renew(), true);
  const pem = readFileSync(acme.certificateFile, "utf8");
  const leaf = new X509Certificate(pem);
  assert.equal(leaf.checkHost("www.shop.test"), "www.shop.test");
  assert.equal(statSync(acme.certificateFile).mode & 0o777, 0o600);
  assert.match(server.proofs.at(-1) ?? "", /^token-1\.[\w-]{43}$/);
  assert.equal(await acme.challenge("token-1"), undefined, "an answered challenge is forgotten");
  assert.equal(await acme.renew(), false);
  const again = await client(folder);
  assert.equal(await again.acme.renew(), false);
  assert.equal(server.orders, before + 1);
});

test("it is renewed when two thirds of its life are over, by the same account, and served without a restart", async (t) => {
  if (!authority) return t.skip("no openssl");
  const { acme, clock } = await client(newFolder());
  const tls = await createGatewayTls(
    { certificate: acme.certificateFile, key: acme.certificateFile },
    { clock: systemClock, log: silent(), metrics: undefined, waits: true },
  );
  const gateway = testGateway({}, { tls });
  const { port } = await gateway.start();
  const serial = async (): Promise<string> => {
    const socket = connect({ port, host: "127.0.0.1", servername: "shop.test", ca: authority?.ca ?? "" });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  try {
    await assert.rejects(serial(), "before the first certificate nobody is served");
    await acme.renew();
    assert.equal(await tls.check(), true);
    const first = await serial();
    await clock.advance(59 * dayMs);
    assert.equal(await acme.renew(), false);
    await clock.advance(5 * dayMs);
    const { accounts } = server;
    assert.equal(await acme.renew(), true);
    assert.equal(server.accounts, accounts);
    assert.equal(await tls.check(), true);
    assert.notEqual(await serial(), first);
  } finally {
    await gateway.stop();
  }
});

test("a failure keeps what there is, and is tried again later each time, also after a restart", async (t) => {
  if (!authority) return t.skip("no openssl");
  const folder = newFolder();
  const { acme, clock } = await client(folder);
  assert.equal(await acme.renew(), true);
  const pem = readFileSync(acme.certificateFile, "utf8");
  await clock.advance(80 * dayMs);
  server.failure = { status: 403, type: "urn:ietf:params:acme:error:rateLimited" };
  try {
    let orders = server.orders;
    const pauses: number[] = [];
    let lastAt = clock.wallNow();
    // A week in steps of a minute, restarted at each.
    for (let minute = 0; minute < 7 * 24 * 60 && pauses.length < 12; minute++) {
      await (await client(folder, clock)).acme.renew();
      if (server.orders !== orders) {
        orders = server.orders;
        pauses.push(Math.round((clock.wallNow() - lastAt) / 60_000));
        lastAt = clock.wallNow();
      }
      await clock.advance(pauses.length > 6 ? 60 * 60_000 : 60_000);
    }
    assert.ok(
      pauses.slice(1, 6).every((each, i) => each >= 5 * 2 ** i && each <= 5 * 2 ** i * 1.1 + 2),
      `${pauses}`,
    );
    assert.ok(Math.max(...pauses.slice(1)) <= 27 * 60, `${pauses}`);
    assert.equal(readFileSync(acme.certificateFile, "utf8"), pem);
  } finally {
    server.failure = undefined;
  }
  await clock.advance(2 * dayMs);
  assert.equal(await acme.renew(), true);
  assert.match((await metrics.render()).body, /plinth_gateway_acme_orders_total\{result="failed"\} \d+/);
});

test("of several gateways that share a folder, one orders, and each can answer", async (t) => {
  if (!authority) return t.skip("no openssl");
  const folder = newFolder();
  const all = await Promise.all([client(folder), client(folder), client(folder)]);
  const before = server.orders;
  // The authority's question reaches one that did not order.
  answering = all[2]?.acme;
  const renewed = await Promise.all(all.map(({ acme }) => acme.renew()));
  assert.equal(renewed.filter(Boolean).length, 1);
  assert.equal(server.orders, before + 1);
});

test("a lock that nobody holds any more is taken", async () => {
  const path = newFolder();
  const folder = await openAcmeFolder(path, () => Date.now());
  writeFileSync(join(path, "order.lock"), "");
  assert.equal(await folder.alone(async () => 1), undefined);
  const later = await openAcmeFolder(path, () => Date.now() + 16 * 60_000);
  assert.equal(await later.alone(async () => 1), 1);
  assert.equal(await folder.alone(async () => 2), 2);
});

test("it looks by itself from its start on, and tells when there is something new", async (t) => {
  if (!authority) return t.skip("no openssl");
  const { acme, clock } = await client(newFolder());
  let renewals = 0;
  await new Promise<void>((resolve) => {
    acme.start(async () => {
      renewals++;
      resolve();
    });
  });
  // Each minute it looks, and finds nothing to do.
  const { orders } = server;
  await clock.advance(30 * 60_000);
  acme.stop();
  assert.deepEqual([renewals, server.orders], [1, orders]);
});

test("what cannot be is refused at start", async () => {
  const parts = {
    folder: newFolder(),
    clock: systemClock,
    random: createSeededRandom(1),
    log: silent(),
    metrics: undefined,
  };
  const refused = (options: unknown, words: RegExp) =>
    assert.rejects(
      createAcme(options as AcmeOptions, parts),
      (thrown) => thrown instanceof StartError && thrown.reason === "ACME_INVALID" && words.test(thrown.message),
    );
  await refused({ hosts: [], termsAgreed: true }, /name 1 to 100 hosts/);
  await refused({ hosts: ["*.shop.test"], termsAgreed: true }, /wildcards are not possible/);
  await refused({ hosts: ["localhost"], termsAgreed: true }, /no full name of a host/);
  await refused({ hosts: ["shop.test"] }, /read the authority's terms/);
  await refused({ hosts: ["shop.test"], termsAgreed: true, directory: "here" }, /address of the authority's directory/);
});

test("an order that is under way ends with the process, and counts as no failure", async (t) => {
  if (!authority) return t.skip("no openssl");
  const folder = newFolder();
  const { acme } = await client(folder);
  server.isSlow = true;
  t.after(() => {
    server.isSlow = false;
  });
  const proofs = server.proofs.length;
  const order = acme.renew();
  while (server.proofs.length === proofs) await systemClock.sleep(5);
  acme.stop();
  assert.equal(await order, false, "the clock of this test stands still: nothing else could have ended it");
  assert.equal((await (await openAcmeFolder(folder, () => 0)).attempts()).failures, 0);
  assert.equal(await acme.challenge("token-1"), undefined);
});

test("an authority that cannot be reached is said to be so", async (t) => {
  const destination = createMemoryDestination();
  const log = createLogger({ destination });
  const parts = { folder: newFolder(), clock: createManualClock(Date.now()), random: createSeededRandom(1), log };
  const options = { hosts: ["shop.test"], termsAgreed: true, directory: "http://127.0.0.1:9/directory" } as const;
  const acme = await createAcme(options, { ...parts, metrics: undefined });
  t.after(() => acme.stop());
  assert.equal(await acme.renew(), false);
  assert.match(destination.text, /the authority at http:\/\/127\.0\.0\.1:9\/directory did not answer/);
});

test("an authority that does not come to an end in 5 minutes has failed", async (t) => {
  if (!authority) return t.skip("no openssl");
  const folder = newFolder();
  const { acme, clock } = await client(folder);
  server.isSlow = true;
  t.after(() => {
    server.isSlow = false;
  });
  let isOver = false;
  const order = acme.renew().finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await clock.advance(10_000);
    await systemClock.sleep(5);
  }
  assert.equal(await order, false);
  assert.equal((await (await openAcmeFolder(folder, () => 0)).attempts()).failures, 1);
});
