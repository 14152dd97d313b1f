import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { Principal } from "../../base/index.ts";
import type { LimitPlan } from "../../service/index.ts";
import { compileLimits } from "../../service/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Gateway } from "../gateway.ts";
import type { TestMethod } from "../testing.ts";
import { ask, request, testGateway } from "../testing.ts";
import { accountsMax, compileAccount } from "./account.ts";
import { createMeter } from "./meter.ts";
import { compilePartition } from "./partition.ts";
import type { QuotaFixture } from "./rate-limit.fixture.ts";
import { get, quotasOf } from "./rate-limit.fixture.ts";

const running: Gateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

async function open(methods: Readonly<Record<string, TestMethod>>, given: QuotaFixture = {}) {
  const gateway = testGateway(methods, { ...quotasOf(given), trustedProxies: ["127.0.0.1"] });
  running.push(gateway);
  const { port } = await gateway.start();
  return async (headers: Record<string, string>): Promise<number> =>
    (await ask(port, request("GET /a", headers))).status;
}

const from = (address: string) => ({ "x-forwarded-for": address });
const ann = { authorization: "Bearer ann" };

describe("whose account it is", () => {
  test("callers who are not signed in have one for each address, not one together", async () => {
    const ask = await open({ a: get("/a") }, { limits: [{ quota: 1, window: "1m" }] });
    const answers = [];
    for (const address of ["203.0.113.1", "203.0.113.1", "198.51.100.7"]) answers.push(await ask(from(address)));
    assert.deepEqual(answers, [200, 429, 200]);
  });

  test("where one counts by address, a signed-in caller has one for each address too", async () => {
    const ask = await open(
      { a: get("/a") },
      {
        limits: [
          { quota: 1, window: "1m", by: "address" },
          { quota: 9, window: "1m" },
        ],
      },
    );
    const answers = [];
    for (const address of ["203.0.113.1", "203.0.113.1", "198.51.100.7"])
      answers.push(await ask({ ...ann, ...from(address) }));
    assert.deepEqual(answers, [200, 429, 200]);
  });

  test("a cost that depends on the request is asked for at each request of a caller", async () => {
    const ask = await open({
      a: get("/a", [{ quota: 10, window: "1m", cost: ({ headers }) => Number(headers["x-units"]) }]),
    });
    const answers = [];
    for (const units of ["1", "9", "1"]) answers.push(await ask({ ...ann, "x-units": units }));
    assert.deepEqual(answers, [200, 200, 429]);
  });
});

test("a route knows the accounts of its latest callers only", () => {
  const plan = compileLimits("limits", [{ quota: 1, window: "1m" }], [])[0] as LimitPlan;
  const partitionOf = compilePartition(plan.by);
  let made = 0;
  const meter = createMeter(
    "test/one",
    plan,
    (exchange) => {
      made++;
      return partitionOf(exchange);
    },
    1,
  );
  const accountOf = compileAccount([meter], undefined);
  const callers = Array.from(
    { length: 5000 },
    (_, i): Principal => ({ kind: "user", subject: `user-${i}`, scopes: [], claims: {} }),
  );
  const first = callers.map((principal) => accountOf({ principal } as Exchange));
  assert.equal(made, callers.length);
  const again = callers.toReversed().map((principal) => accountOf({ principal } as Exchange));
  const known = 2 * callers.length - made;
  assert.ok(known <= accountsMax && known >= accountsMax / 2, `${known} were known`);
  assert.deepEqual(again.toReversed(), first);
});
