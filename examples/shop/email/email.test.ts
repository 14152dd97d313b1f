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

const order: OrderPlaced = {
  orderId: "0190-order",
  accountId: "ada",
  recipient: { name: "Ada", email: "ada@example.com" },
  items: [
    {
      productId: "candle",
      name: "Candle",
      quantity: 2,
      unitPrice: { amount: 1990, currency: "EUR" },
      price: { amount: 3980, currency: "EUR" },
    },
  ],
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

  it("writes one mail for an order into the folder, and knows it", async () => {
    const { id } = await buy();
    const [mail] = await until("the mail", async () => {
      const mails = await mailsOf(id);
      return mails.length > 0 && mails;
    });
    assert.equal(mail?.to, "ada@example.com");
    assert.equal(mail?.subject, `Your order ${id}`);
    assert.ok((await readFile(mail?.file ?? "", "utf8")).includes(id));
    assert.equal((await mailsOf(id)).length, 1);
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
      await until("the mail", async () => (await blocked.client(email).listMails({ orderId: id })).mails.length === 1);
    } finally {
      await blocked.stop();
    }
  });
});
