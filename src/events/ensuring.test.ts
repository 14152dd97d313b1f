import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createEnsuring } from "./ensuring.ts";

function setUp() {
  const told: string[] = [];
  const clock = createManualClock();
  const ensuring = createEnsuring(async (specs) => {
    told.push(specs.map(({ subscription, types }) => `${subscription}: ${types.join(" ")}`).join(", "));
  }, clock);
  const took = () => told.splice(0);
  return { clock, ensuring, took };
}

test("tells what is new and nothing twice", async () => {
  const { ensuring, took } = setUp();
  await ensuring.ensure([
    { subscription: "mail.send", types: ["shop.Sold"] },
    { subscription: "books.enter", types: ["shop.Sold", "shop.Closed"] },
  ]);
  assert.deepEqual(took(), ["mail.send: shop.Sold, books.enter: shop.Sold shop.Closed"]);
  await ensuring.ensure([{ subscription: "mail.send", types: ["shop.Sold"] }]);
  assert.deepEqual(took(), []);
  await ensuring.ensure([{ subscription: "mail.send", types: ["shop.Sold", "shop.Lost"] }]);
  assert.deepEqual(took(), ["mail.send: shop.Lost"]);
});

test("tells again after a while, after it was forgotten, and where telling failed", async () => {
  const { clock, ensuring, took } = setUp();
  const mail = [{ subscription: "mail.send", types: ["shop.Sold"] }];
  await ensuring.ensure(mail);
  ensuring.forget("mail.send");
  await ensuring.ensure(mail);
  await clock.advance(30_000);
  await ensuring.ensure(mail);
  assert.equal(took().length, 3);

  let failing = true;
  const flaky = createEnsuring(async () => {
    if (failing) throw new Error("away");
  }, clock);
  await assert.rejects(flaky.ensure(mail), /away/);
  failing = false;
  await flaky.ensure(mail);
});
