import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { audit, rules } from "./books.ts";
import { cart } from "./cart/contract.ts";
import { checkout } from "./checkout/contract.ts";
import { accountsDouble, card, shipTo } from "./purchase.fixture.ts";
import { startShop, type TestShop } from "./shop.fixture.ts";

/** A lie that is written into the books, where it must be found, and how it is taken back. `$id` is a placed order. */
interface Lie {
  readonly rule: keyof typeof rules;
  readonly plant: string;
  readonly mend: string;
}

const nullify = "update payment.charges set refunded_at";
const lies: readonly Lie[] = [
  {
    rule: "order left halfway",
    plant: "update checkout.orders set status = 'failing' where id = '$id'",
    mend: "update checkout.orders set status = 'placed' where id = '$id'",
  },
  {
    rule: "order that does not add up",
    plant: "update checkout.orders set delivery_cents = delivery_cents + 1 where id = '$id'",
    mend: "update checkout.orders set delivery_cents = delivery_cents - 1 where id = '$id'",
  },
  { rule: "placed without its charge", plant: `${nullify} = now() where key = '$id'`, mend: `${nullify} = null` },
  {
    rule: "charged without a placed order",
    plant: "insert into payment.charges (key, id, amount, currency, last4) values ('lie', 'lie', 5, 'EUR', '4242')",
    mend: "delete from payment.charges where key = 'lie'",
  },
  {
    rule: "charged twice",
    // The table would not let it happen: the rule must not rely on that.
    plant: `alter table payment.charges drop constraint charges_pkey;
      insert into payment.charges (key, id, amount, currency, last4) values ('$id', 'lie', 5, 'EUR', '4242')`,
    mend: "delete from payment.charges where id = 'lie'",
  },
  {
    rule: "charged something else",
    plant: "update payment.charges set amount = amount + 1 where key = '$id'",
    mend: "update payment.charges set amount = amount - 1 where key = '$id'",
  },
  {
    rule: "money that does not balance",
    plant: "update payment.charges set amount = amount + 1 where key = '$id'",
    mend: "update payment.charges set amount = amount - 1 where key = '$id'",
  },
  {
    rule: "placed without its reservation",
    plant: "update inventory.reservations set items = jsonb_set(items, '{candle}', '7') where key = '$id'",
    mend: "update inventory.reservations set items = jsonb_set(items, '{candle}', '1') where key = '$id'",
  },
  {
    rule: "reserved without a placed order",
    plant: "insert into inventory.reservations (key, status, expires_at) values ('lie', 'reserved', now())",
    mend: "delete from inventory.reservations where key = 'lie'",
  },
  {
    rule: "stock that does not balance",
    plant:
      "update inventory.stock set available = available - 1, received = received - 2, sold = sold - 1 where product_id = 'candle'",
    mend: "update inventory.stock set available = available + 1, received = received + 2, sold = sold + 1 where product_id = 'candle'",
  },
  {
    rule: "sent without a placed order, twice, or not at all",
    plant:
      "insert into shipping.shipments (order_id, account_id, tracking_id, country) values ('lie', 'a', 'lie', 'DE')",
    mend: "delete from shipping.shipments where order_id = 'lie'",
  },
  {
    rule: "sent without a placed order, twice, or not at all",
    plant: "update shipping.shipments set order_id = 'lie' where order_id = '$id'",
    mend: "update shipping.shipments set order_id = '$id' where order_id = 'lie'",
  },
  {
    rule: "order mail missing, twice, or for no order",
    plant: `insert into email.mails (id, kind, order_id, recipient, subject, html, written_at)
      select 'lie', kind, order_id, recipient, subject, html, written_at from email.mails
      where order_id = '$id' and kind = 'order'`,
    mend: "delete from email.mails where id = 'lie'",
  },
  {
    rule: "shipping mail missing, twice, or for no order",
    plant: "update email.mails set order_id = 'lie' where order_id = '$id' and kind = 'shipping'",
    mend: "update email.mails set order_id = '$id' where order_id = 'lie'",
  },
  {
    rule: "mail that was never written",
    plant: "update email.mails set written_at = null where order_id = '$id' and kind = 'order'",
    mend: "update email.mails set written_at = now()",
  },
  {
    rule: "purchase counted otherwise than once",
    plant: "update recommendation.bought set order_count = order_count + 1 where product_id = 'candle'",
    mend: "update recommendation.bought set order_count = order_count - 1 where product_id = 'candle'",
  },
];

describe("the books", () => {
  let shop: TestShop;
  let id = "";
  before(async () => {
    shop = await startShop({ doubles: { checkout: { accounts: accountsDouble } } });
    for (const key of ["first", "second"]) {
      await shop.client(cart).setItem({ productId: "candle", quantity: 1 });
      await shop.client(cart).setItem({ productId: "kite", quantity: 2 });
      ({ id } = await shop.client(checkout).placeOrder({ card, shipTo }, { idempotencyKey: key }));
      await shop.quiet();
    }
    await shop.client(cart).setItem({ productId: "candle", quantity: 1 });
    const declined = { ...card, number: "4000 0000 0000 0002" };
    await assert.rejects(shop.client(checkout).placeOrder({ card: declined, shipTo }));
    await shop.quiet();
  });
  after(() => shop.stop());

  const look = (_service: string, text: string) => shop.run(text);
  const told = (result: "ok" | "fail" | "unknown", key: string, orderId?: string) => {
    return { key, result, orderId, reason: "a reason", attempts: 1 };
  };

  it("balance after purchases and a declined card", async () => {
    const checkouts = [told("ok", "second", id), told("fail", "declined"), told("unknown", "first")];
    assert.deepEqual(await audit(look, checkouts), []);
  });

  it("say when a customer was told that an order is placed, and it is not, or the other way round", async () => {
    const found = await audit(look, [told("ok", "lost", "gone"), told("fail", "second")]);
    assert.deepEqual(found, [
      { rule: "told otherwise", what: "gone was said to be placed, and is not" },
      { rule: "told otherwise", what: `${id} was refused (a reason), and is placed` },
    ]);
  });

  for (const { rule, plant, mend } of lies) {
    it(`show a lie: ${rule}: ${plant.split("\n")[0]}`, async () => {
      for (const statement of plant.split(";")) await shop.run(statement.replaceAll("$id", id));
      const found = await audit(look);
      assert.ok(
        found.some((violation) => violation.rule === rule),
        JSON.stringify(found),
      );
      await shop.run(mend.replaceAll("$id", id));
      assert.deepEqual(await audit(look), [], "and nothing once it is mended");
    });
  }

  it("have a lie for every rule", () => {
    const tested = new Set<string>([...lies.map((lie) => lie.rule), "told otherwise"]);
    assert.deepEqual(
      Object.keys(rules).filter((rule) => !tested.has(rule)),
      [],
    );
  });
});
