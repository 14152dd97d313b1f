import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { newId } from "plinth";
import { cart } from "../cart/contract.ts";
import { checkout } from "../checkout/contract.ts";
import { accountsDouble, card, shipTo } from "../purchase.fixture.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { until } from "../waiting.fixture.ts";
import { email } from "./contract.ts";
import { type OrderPlaced, renderOrderMail } from "./order-mail.ts";
import { renderShippingMail, type Shipped } from "./shipping-mail.ts";

const order: OrderPlaced = {
  orderId: "0190-order",
  accountId: "ada",
  recipient: { name: "Ada", email: "ada@example.com" },
  items: [
    {
      productId: "candle",
      name: "Candle",
      quantity: 2,
      grams: 1500,
      unitPrice: { amount: 1990, currency: "EUR" },
      price: { amount: 3980, currency: "EUR" },
    },
  ],
  delivery: { amount: 0, currency: "EUR" },
  total: { amount: 3980, currency: "EUR" },
  minorDigits: 2,
  shipTo,
  placedAt: "2026-03-01T12:00:00.000Z",
};

describe("the mail about an order", () => {
  it("tells what was bought, what was paid, when, and where it goes", () => {
    const { subject, html } = renderOrderMail(order);
    assert.equal(subject, "Your order 0190-order");
    for (const text of ["Thank you, Ada", "0190-order", "2026-03-01", "Candle", ">2<", "Paid: 39.80 EUR", "London"]) {
      assert.ok(html.includes(text), text);
    }
    assert.ok(!html.includes("Total:"), "one sum is enough where it is the same");
  });

  it("tells both sums where it was paid in another currency", () => {
    const { html } = renderOrderMail({ ...order, total: { amount: 6222, currency: "JPY" }, minorDigits: 0 });
    assert.match(html, /Total: 39\.80 EUR.*Paid: 6222 JPY/);
  });

  it("tells what the delivery costs where it costs something", () => {
    const delivery = { amount: 990, currency: "EUR" };
    const { html } = renderOrderMail({ ...order, delivery, total: { amount: 7760, currency: "JPY" }, minorDigits: 0 });
    assert.match(html, /Delivery: 9\.90 EUR.*Total: 49\.70 EUR.*Paid: 7760 JPY/);
  });

  it("lets nothing that a customer wrote become HTML", () => {
    const evil = `<img src=x onerror="alert('&')">`;
    const { html } = renderOrderMail({
      ...order,
      orderId: evil,
      recipient: { name: evil, email: evil },
      items: order.items.map((item) => ({ ...item, name: evil })),
      total: { amount: 1, currency: evil },
      shipTo: { name: evil, street: evil, city: evil, postalCode: evil, country: evil },
      placedAt: evil,
    });
    assert.ok(!html.includes("<img"));
    assert.ok(html.includes("&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;"));
    const tagsOf = (text: string) => (text.match(/<[^>]+>/g) ?? []).filter((tag) => tag !== "<br>");
    assert.deepEqual(tagsOf(html), tagsOf(renderOrderMail(order).html));
  });
});

describe("the mail about a parcel", () => {
  const shipped: Shipped = {
    orderId: "0190-order",
    accountId: "ada",
    recipient: { name: "Ada", email: "ada@example.com" },
    shipTo,
    trackingId: "0190-parcel",
    days: 4,
    shippedAt: "2026-03-01T12:00:00.000Z",
  };

  it("tells which order, its number, where it goes and how long it takes", () => {
    const { subject, html } = renderShippingMail(shipped);
    assert.equal(subject, "Your order 0190-order is on its way");
    for (const text of ["Ada", "0190-order", "0190-parcel", "about 4 days", "London"]) {
      assert.ok(html.includes(text), text);
    }
  });

  it("lets nothing that a customer wrote become HTML", () => {
    const evil = `<img src=x onerror="alert('&')">`;
    const address = { name: evil, street: evil, city: evil, postalCode: evil, country: evil };
    const { html } = renderShippingMail({ ...shipped, recipient: { name: evil, email: evil }, shipTo: address });
    assert.ok(!html.includes("<img"));
    assert.ok(html.includes("&lt;img src=x"));
  });
});

describe("email", () => {
  let shop: TestShop;
  before(async () => {
    shop = await startShop({ doubles: { checkout: { accounts: accountsDouble } } });
  });
  after(() => shop.stop());

  const buy = async () => {
    await shop.client(cart).setItem({ productId: "candle", quantity: 1 });
    return shop.client(checkout).placeOrder({ card, shipTo });
  };
  const mailsOf = async (orderId: string) => (await shop.client(email).listMails({ orderId })).mails;

  it("writes one mail for an order and one for its parcel into the folder, and knows them", async () => {
    const { id } = await buy();
    await shop.quiet();
    const mails = await mailsOf(id);
    assert.deepEqual(mails.map((mail) => [mail.kind, mail.to, mail.subject]).sort(), [
      ["order", "ada@example.com", `Your order ${id}`],
      ["shipping", "ada@example.com", `Your order ${id} is on its way`],
    ]);
    for (const { file } of mails) assert.ok((await readFile(file, "utf8")).includes(id));
    assert.deepEqual(await mailsOf(newId()), []);
  });

  it("tries again when the folder cannot be written to, and then writes one", async () => {
    const blocked = await startShop({
      doubles: { checkout: { accounts: accountsDouble } },
      environment: { SHOP_MAIL_FOLDER: `${shop.mailFolder}/blocked/mail` },
    });
    try {
      await writeFile(`${shop.mailFolder}/blocked`, "a file where the folder should be");
      await blocked.client(cart).setItem({ productId: "candle", quantity: 1 });
      const { id } = await blocked.client(checkout).placeOrder({ card, shipTo });
      await until("a failed attempt", async () => {
        const waiting = await blocked.run(
          "select attempts from plinth_broker.deliveries where subscription = 'email.writeMail' and attempts > 0 and owner is null",
        );
        return waiting.length > 0;
      });
      assert.deepEqual((await blocked.client(email).listMails({ orderId: id })).mails, []);
      await rm(`${shop.mailFolder}/blocked`);
      await blocked.passSeconds(60);
      await until("the mails", async () => (await blocked.client(email).listMails({ orderId: id })).mails.length === 2);
    } finally {
      await blocked.stop();
    }
  });
});
