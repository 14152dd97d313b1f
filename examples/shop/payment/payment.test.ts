import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { app, contract, database, isError, newId, service } from "plinth";
import { startTestApp, type TestApp } from "plinth/testing";
import { createProbe } from "../probe.fixture.ts";
import { until } from "../waiting.fixture.ts";
import { declineOf, digitsOf, isExpired, passesLuhn } from "./card.ts";
import { payment } from "./contract.ts";
import paymentService from "./service.ts";

describe("a card", () => {
  it("has a number whose check digit fits", () => {
    const right = ["4242424242424242", "4000056655665556", "5555555555554444", "378282246310005", "6011111111111117"];
    for (const digits of right) assert.ok(passesLuhn(digits), digits);
    for (const digits of ["4242424242424241", "4242424242424224", "0", "", "42", `${"0".repeat(20)}`]) {
      assert.ok(!passesLuhn(digits), digits);
    }
  });

  it("is caught with any one digit wrong, and any two neighbours swapped but 09 and 90", () => {
    const digits = "4000056655665556";
    for (let i = 0; i < digits.length; i++) {
      for (let wrong = 0; wrong < 10; wrong++) {
        const changed = `${digits.slice(0, i)}${wrong}${digits.slice(i + 1)}`;
        assert.equal(passesLuhn(changed), changed === digits, changed);
      }
      const pair = digits.slice(i, i + 2);
      const swapped = `${digits.slice(0, i)}${pair[1] ?? ""}${pair[0]}${digits.slice(i + 2)}`;
      if (pair.length === 2) assert.equal(passesLuhn(swapped), swapped === digits, swapped);
    }
  });

  it("may be written with spaces", () => {
    assert.equal(digitsOf("4242 4242 4242 4242"), "4242424242424242");
  });

  it("is good to the last moment of its month", () => {
    const card = { number: "", cvc: "", expiryMonth: 2, expiryYear: 2028 };
    assert.ok(!isExpired(card, new Date("2028-02-29T23:59:59.999Z")));
    assert.ok(isExpired(card, new Date("2028-03-01T00:00:00.000Z")));
    assert.ok(!isExpired(card, new Date("2027-12-31T00:00:00.000Z")));
    assert.ok(isExpired({ ...card, expiryMonth: 12, expiryYear: 2027 }, new Date("2028-01-01T00:00:00.000Z")));
  });

  it("is declined by well-known numbers, each for a reason", () => {
    assert.match(declineOf("4000000000009995") ?? "", /not enough money/);
    assert.equal(declineOf("4242424242424242"), undefined);
  });
});

const card = { number: "4242 4242 4242 4242", expiryMonth: 12, expiryYear: 2099, cvc: "123" };
const amount = { amount: 1999, currency: "EUR" };

describe("payment", () => {
  const probe = createProbe();
  const heard: string[] = [];
  const listener = service(contract("listener", { methods: {} }), {
    needs: { db: database() },
    methods: {},
    subscriptions: {
      captured: {
        event: payment.PaymentCaptured,
        async handle({ orderId, amount }) {
          heard.push(`${orderId} paid ${amount.amount} ${amount.currency}`);
        },
      },
      refunded: {
        event: payment.PaymentRefunded,
        async handle({ orderId, amount }) {
          heard.push(`${orderId} got back ${amount.amount} ${amount.currency}`);
        },
      },
    },
  });
  let running: TestApp;
  before(async () => {
    running = await startTestApp(app({ name: "payment", services: [paymentService, listener, probe.service] }));
  });
  after(() => running.stop());

  const charge = (key: string, change: object = {}) => running.client(payment).charge({ key, amount, card, ...change });
  const chargesOf = async (key: string) =>
    (
      await running.client(probe.contract).run({
        text: `select amount, currency, last4, refunded_at is not null as refunded from payment.charges where key = '${key}'`,
      })
    ).rows;
  const reason = (name: string) => (thrown: unknown) => isError(thrown, name);

  it("charges a key once, however often and however much at once it is asked to", async () => {
    const key = newId();
    const answers = await Promise.all([charge(key), charge(key), charge(key)]);
    answers.push(await charge(key));
    assert.equal(new Set(answers.map((answer) => answer.chargeId)).size, 1);
    assert.equal(answers[0]?.last4, "4242");
    assert.deepEqual(await chargesOf(key), [{ amount: 1999, currency: "EUR", last4: "4242", refunded: false }]);
  });

  it("refuses a key that has paid for something else", async () => {
    const key = newId();
    await charge(key);
    const others = [{ amount: { ...amount, amount: 2000 } }, { amount: { ...amount, currency: "USD" } }];
    for (const change of [...others, { card: { ...card, number: "5555555555554444" } }]) {
      await assert.rejects(charge(key, change), reason("CHARGE_KEY_REUSED"));
    }
  });

  it("declines, and keeps nothing of it", async () => {
    const key = newId();
    const declines: [change: object, expected: string][] = [
      [{ number: "4000000000000002" }, "CARD_DECLINED"],
      [{ number: "4242424242424241" }, "CARD_INVALID"],
      [{ number: "            " }, "CARD_INVALID"],
      [{ expiryYear: 2020 }, "CARD_EXPIRED"],
    ];
    for (const [change, expected] of declines) {
      await assert.rejects(charge(key, { card: { ...card, ...change } }), reason(expected));
    }
    assert.deepEqual(await chargesOf(key), []);
    await charge(key);
  });

  it("gives back once, and the key charges no more", async () => {
    const key = newId();
    await charge(key);
    await running.client(payment).refund({ key });
    await running.client(payment).refund({ key });
    assert.deepEqual(await chargesOf(key), [{ amount: 1999, currency: "EUR", last4: "4242", refunded: true }]);
    await assert.rejects(charge(key), reason("CHARGE_KEY_VOID"));
  });

  it("refuses a charge that comes after its refund", async () => {
    const key = newId();
    await running.client(payment).refund({ key });
    await assert.rejects(charge(key), reason("CHARGE_KEY_VOID"));
    assert.deepEqual(await chargesOf(key), [{ amount: null, currency: null, last4: null, refunded: true }]);
  });

  it("announces what it charged and what it gave back, once each, and nothing where there was nothing", async () => {
    const [paid, unpaid] = [newId(), newId()];
    for (let i = 0; i < 2; i++) await charge(paid);
    for (let i = 0; i < 2; i++) await running.client(payment).refund({ key: paid });
    await running.client(payment).refund({ key: unpaid });
    const about = () => heard.filter((each) => each.startsWith(paid) || each.startsWith(unpaid));
    await until("both events", async () => about().length >= 2);
    assert.deepEqual(about().sort(), [`${paid} got back 1999 EUR`, `${paid} paid 1999 EUR`]);
  });

  it("keeps nothing of a card but its last four digits", async () => {
    await charge(newId());
    const { rows } = await running.client(probe.contract).run({ text: "select c::text as row from payment.charges c" });
    for (const { row } of rows) assert.doesNotMatch(String(row), /42424/);
  });

  it("has no way in from outside", async () => {
    for (const path of ["/payment/charge", "/payments", "/charges"]) {
      assert.equal((await fetch(running.url + path, { method: "POST" })).status, 404, path);
    }
  });
});
