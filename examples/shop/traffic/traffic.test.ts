import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { after, before, describe, it } from "node:test";
import { audit } from "../books.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { createDice } from "./dice.ts";
import { toText } from "./report.ts";
import { createTally } from "./tally.ts";
import { createTraffic, type TrafficOptions } from "./traffic.ts";

describe("dice", () => {
  it("fall the same way again from the same seed, and evenly", () => {
    const throws = (seed: number) =>
      Array.from(
        { length: 6000 },
        (
          (dice) => () =>
            dice.below(6)
        )(createDice(seed)),
      );
    assert.deepEqual(throws(1), throws(1));
    assert.notDeepEqual(throws(1), throws(2));
    for (let side = 0; side < 6; side++) {
      const count = throws(3).filter((each) => each === side).length;
      assert.ok(count > 850 && count < 1150, `${side}: ${count}`);
    }
  });
});

describe("a tally", () => {
  it("knows how many, why not, and how long for each operation and for all", () => {
    const tally = createTally();
    for (let ms = 1; ms <= 100; ms++) tally.count("browse", "ok", undefined, ms);
    tally.count("view", "failed", "timeout", 5000);
    const { browse, view, add, all } = tally.report();
    assert.deepEqual([browse.sent, browse.ok, view.failed, all.sent], [100, 100, { timeout: 1 }, 101]);
    assert.ok(Math.abs(browse.p50Ms - 50) < 1 && Math.abs(browse.p99Ms - 99) < 1 && all.maxMs > 4990);
    assert.deepEqual([add.sent, add.p50Ms, add.maxMs], [0, 0, 0]);
  });
});

describe("traffic in the shop", () => {
  let shop: TestShop;
  before(async () => {
    shop = await startShop();
  });
  after(() => shop.stop());

  it("gets right answers to everything that it does, and the books balance with what it was told", async () => {
    const mix = { browse: 20, view: 15, add: 15, cart: 10, checkout: 30, currency: 10 };
    const told: string[] = [];
    const traffic = createTraffic({
      url: shop.url,
      rate: 40,
      seconds: 3,
      users: 4,
      seed: 42,
      mix,
      declinedShare: 0.2,
      // Room for all of it: on a machine with other things to do it takes longer, and is right all the same.
      lineMax: 120,
      onCheckout: ({ result }) => told.push(result),
    });
    const report = await traffic.run();
    assert.ok(report.good, toText(report));
    assert.equal(report.operations.all.sent, 120);
    for (const [name, row] of Object.entries(report.operations)) assert.ok(row.ok > 0, name);
    assert.deepEqual(
      told,
      traffic.checkouts.map((outcome) => outcome.result),
    );
    assert.equal(report.checkouts.unknown, 0);
    assert.ok(report.checkouts.ok > 5 && report.checkouts.fail > 0, JSON.stringify(report.checkouts));
    await shop.quiet();
    assert.deepEqual(await audit((_service, text) => shop.run(text), traffic.checkouts), []);
  });

  it("signs in where it was before, and ends early when it is told to", async () => {
    const traffic = createTraffic({ url: shop.url, rate: 20, seconds: 60, users: 2, seed: 42 });
    const running = traffic.run();
    setTimeout(() => traffic.stop(), 1500);
    const { operations } = await running;
    assert.ok(operations.all.sent < 60, `${operations.all.sent}`);
  });
});

type Script = (route: string, body: any, request: IncomingMessage) => Reply | undefined;
type Reply = { readonly status: number; readonly body: unknown } | "cut" | "silence";

/** A shop of one product that answers as a test wants it to. */
async function startFake(reply: Script) {
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const route = `${request.method} ${request.url}`;
    const given = reply(route, text === "" ? undefined : JSON.parse(text), request) ?? honest(route);
    if (given === "cut") request.socket.destroy();
    else if (given !== "silence") {
      response.writeHead(given.status, { "content-type": "application/json" }).end(JSON.stringify(given.body));
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const euro = (amount: number) => ({ amount, currency: "EUR" });
const kite = { id: "kite", name: "Kite", price: euro(100), stock: "plenty" };
const inCart = (quantity: number) => ({
  items: [{ productId: "kite", quantity, unitPrice: euro(100), price: euro(100 * quantity) }],
  total: euro(100 * quantity),
});

function honest(route: string): Reply {
  if (route === "POST /accounts") return { status: 201, body: { token: "a token" } };
  if (route.startsWith("GET /products?")) return { status: 200, body: { products: [kite] } };
  if (route === "GET /products/kite") return { status: 200, body: kite };
  if (route === "GET /products/kite/reviews") return { status: 200, body: { rating: { count: 0 }, reviews: [] } };
  if (route === "GET /products/kite/also-bought") return { status: 200, body: { products: [] } };
  return { status: 503, body: { reason: "NOT_HERE" } };
}

const mixOf = (name: string) => {
  const none = { browse: 0, view: 0, add: 0, cart: 0, checkout: 0, currency: 0 };
  return { ...none, [name]: 1 };
};

async function runAgainst(reply: Script, options: Partial<TrafficOptions>) {
  const fake = await startFake(reply);
  try {
    const traffic = createTraffic({ url: fake.url, rate: 40, seconds: 0.5, users: 4, ...options });
    return { report: await traffic.run(), checkouts: traffic.checkouts };
  } finally {
    fake.stop();
  }
}

describe("traffic in a shop that misbehaves", () => {
  it("calls an answer wrong that has the wrong product in it, and so itself not good", async () => {
    const wrong = { status: 200, body: { ...kite, id: "candle" } };
    const { report } = await runAgainst((route) => (route === "GET /products/kite" ? wrong : undefined), {
      mix: mixOf("view"),
    });
    assert.deepEqual(report.operations.view.wrong, { "asked for kite and got candle": report.operations.all.sent });
    assert.equal(report.good, false);
  });

  it("calls a cart wrong that does not add up", async () => {
    const body = { ...inCart(2), total: euro(1) };
    const { report } = await runAgainst((route) => (route === "GET /cart" ? { status: 200, body } : undefined), {
      mix: mixOf("cart"),
    });
    assert.deepEqual(Object.keys(report.operations.cart.wrong), ["a cart of 200 that says 1"]);
  });

  it("calls a status wrong that is not declared, and a 503 a failure", async () => {
    const teapot = { status: 418, body: {} };
    const { report } = await runAgainst((route) => (route === "GET /cart" ? teapot : undefined), {
      mix: mixOf("cart"),
    });
    assert.deepEqual(Object.keys(report.operations.cart.wrong), ["GET /cart answered 418 no reason"]);
    const { report: other } = await runAgainst(() => undefined, { mix: mixOf("cart") });
    assert.deepEqual(other.operations.cart.failed, { "503 NOT_HERE": other.operations.all.sent });
    assert.equal(other.good, false);
  });

  it("measures from when an operation should have begun, also while everything stands still", async () => {
    const beganAt = performance.now();
    let stood = false;
    const { report } = await runAgainst(
      (route) => {
        if (route !== "GET /products/kite" || stood) return undefined;
        stood = true;
        return "silence";
      },
      { mix: mixOf("view"), users: 1, timeoutMs: 800 },
    );
    const { view } = report.operations;
    assert.deepEqual([view.sent, view.failed], [20, { timeout: 1 }]);
    // All others waited behind it: they took about 800 ms less the time since the first.
    assert.ok(view.p50Ms > 400 && view.maxMs >= 800, JSON.stringify(view));
    assert.ok(performance.now() - beganAt < 10_000);
  });

  it("lets only so many wait in line, and counts the rest as failed", async () => {
    const { report } = await runAgainst((route) => (route === "GET /products/kite" ? "silence" : undefined), {
      mix: mixOf("view"),
      users: 1,
      lineMax: 2,
      timeoutMs: 700,
    });
    assert.deepEqual(report.operations.view.failed, { timeout: 3, "not sent: line full": 17 });
  });

  it("sends an order again under its key until it is known what became of it", async () => {
    const keys: unknown[] = [];
    const order = { id: "o-1", status: "placed", items: inCart(1).items, delivery: euro(0) };
    const { checkouts } = await runAgainst(
      (route, body, request) => {
        if (route.startsWith("PUT /cart")) return { status: 200, body: inCart(body.quantity) };
        if (route !== "POST /orders") return undefined;
        keys.push(request.headers["idempotency-key"]);
        if (keys.length === 1) return "cut";
        if (keys.length === 2) return { status: 409, body: { reason: "ORDER_IN_PROGRESS" } };
        if (keys.length === 3) return { status: 503, body: { reason: "UNAVAILABLE" } };
        return { status: 400, body: { reason: "CARD_DECLINED", order } };
      },
      { mix: mixOf("checkout"), rate: 1, seconds: 1, users: 1 },
    );
    assert.equal(keys.length, 4);
    assert.equal(new Set(keys).size, 1);
    assert.deepEqual(
      checkouts.map(({ result, reason, attempts }) => [result, reason, attempts]),
      [["fail", "CARD_DECLINED", 4]],
    );
  });

  it("says of an order that it does not know, when nobody answers in time", async () => {
    const { report, checkouts } = await runAgainst(
      (route, body) => {
        if (route.startsWith("PUT /cart")) return { status: 200, body: inCart(body.quantity) };
        return route === "POST /orders" ? "cut" : undefined;
      },
      { mix: mixOf("checkout"), rate: 1, seconds: 1, users: 1, patienceMs: 100 },
    );
    assert.deepEqual([checkouts[0]?.result, report.checkouts.unknown, report.good], ["unknown", 1, false]);
  });
});
