import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isError } from "plinth";
import { inventory } from "../inventory/contract.ts";
import { pricing } from "../pricing/contract.ts";
import { startShop, type TestShop } from "../shop.fixture.ts";
import { catalog } from "./contract.ts";
import { fromCursor, toCursor } from "./cursor.ts";

describe("a cursor", () => {
  it("leads back to the position that it was made of", () => {
    for (const position of [
      { name: "Chef's knife", id: "chef-knife" },
      { name: 'Größe "L", 60 × 90', id: "a" },
      { name: "", id: "" },
    ]) {
      const cursor = toCursor(position);
      assert.match(cursor, /^[\w-]+$/);
      assert.deepEqual(fromCursor(cursor), position);
    }
  });

  it("is undefined for anything else", () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const others = ["", "x", "%", encode("a"), encode(["a"]), encode(["a", 1]), encode(["a", "b", "c"]), encode({})];
    for (const text of [...others, encode(["a\0", "b"]), encode(["a", "b\n"]), encode(null)]) {
      assert.equal(fromCursor(text), undefined, text);
    }
  });
});

describe("the catalog", () => {
  let running: TestShop;
  before(async () => {
    running = await startShop();
  });
  after(() => running.stop());

  const listAll = async (limit: number) => {
    const pages = [];
    for (let after: string | undefined; ; ) {
      const page = await running.client(catalog).listProducts({ limit, ...(after !== undefined && { after }) });
      pages.push(page.products);
      if (page.next === undefined) return pages;
      after = page.next;
    }
  };

  it("has at least sixty products, each with a name, a description, a category and a price", async () => {
    const products = (await listAll(100)).flat();
    assert.ok(products.length >= 60, `${products.length}`);
    assert.equal(new Set(products.map((product) => product.name)).size, products.length);
    for (const { id, name, description, category, price } of products) {
      assert.ok(name.length >= 4 && description.length >= 20 && category.length >= 4, id);
      assert.ok(price.amount >= 500 && price.amount <= 50_000 && price.currency === "EUR", `${id}: ${price.amount}`);
    }
  });

  it("gives the same products in the same order whatever the size of a page", async () => {
    const whole = (await listAll(100)).flat();
    for (const limit of [7, whole.length / 2, whole.length]) {
      const pages = await listAll(limit);
      assert.deepEqual(pages.flat(), whole);
      assert.equal(pages.length, Math.ceil(whole.length / limit), "no empty page at the end");
    }
  });

  it("pages through what was searched for", async () => {
    const request = { search: "steel", limit: 5 };
    const first = await running.client(catalog).listProducts(request);
    const second = await running.client(catalog).listProducts({ ...request, after: first.next ?? "" });
    const found = [...first.products, ...second.products];
    assert.equal(new Set(found.map((product) => product.id)).size, 10);
    for (const { name, description } of found) assert.match(`${name} ${description}`, /steel/i);
  });

  it("takes the signs of LIKE as they are", async () => {
    for (const search of ["100%", "s_e", "\\\\"]) {
      assert.deepEqual((await running.client(catalog).listProducts({ search })).products, [], search);
    }
  });

  it("refuses a cursor of somebody else's making", async () => {
    await assert.rejects(running.client(catalog).listProducts({ after: "bm9uZQ" }), (thrown) => {
      return isError(thrown, "CURSOR_INVALID") && thrown.code === "invalid_argument";
    });
  });

  it("refuses control characters at the edge instead of failing in the database", async () => {
    for (const path of ["/products/%00", "/products?search=%00%00", "/products?category=%01"]) {
      assert.equal((await fetch(running.url + path)).status, 422, path);
    }
  });

  it("gives several products at once and leaves out what it does not have", async () => {
    const { products } = await running.client(catalog).getProducts({ ids: ["kite", "moon-dust", "candle"] });
    assert.deepEqual(products.map((product) => product.id).sort(), ["candle", "kite"]);
    assert.deepEqual((await running.client(catalog).getProducts({ ids: [] })).products, []);
  });

  it("shows a new price soon, although it keeps what it shows", async () => {
    const shown = async () => {
      const { products } = await running.client(catalog).listProducts({ search: "kite" });
      const product = await running.client(catalog).getProduct({ id: "kite" });
      assert.ok(products[0] && product.price.amount <= 2490 && products[0].price.amount <= 2490);
      return [product.price.amount, products[0].price.amount];
    };
    assert.deepEqual(await shown(), [2490, 2490]);
    await running.client(pricing).setPrice({ productId: "kite", cents: 2000, discountPercent: 10 });
    await running.quiet();
    assert.deepEqual(await shown(), [1800, 1800]);
  });

  it("asks the database once for what is looked at often", async () => {
    await running.client(catalog).getProduct({ id: "candle" });
    await running.run("update catalog.products set name = 'Changed behind its back' where id = 'candle'");
    assert.equal((await running.client(catalog).getProduct({ id: "candle" })).name, "Beeswax candle");
    await running.client(pricing).setPrice({ productId: "candle", cents: 1990 });
    await running.quiet();
    assert.equal((await running.client(catalog).getProduct({ id: "candle" })).name, "Changed behind its back");
    await running.run("update catalog.products set name = 'Beeswax candle' where id = 'candle'");
  });

  it("shows how much there is, as inventory says", async () => {
    const set = (available: number) =>
      running.run(
        `update inventory.stock set available = ${available}, received = ${available} where product_id = 'vase'`,
      );
    const reserve = (key: string) =>
      running.client(inventory).reserve({ key, items: [{ productId: "vase", quantity: 1 }] });
    const shown = async () => (await running.client(catalog).getProduct({ id: "vase" })).stock;
    assert.equal(await shown(), "plenty");
    await set(21);
    await reserve("first");
    await running.quiet();
    assert.equal(await shown(), "low");
    await running.client(inventory).receive({ productId: "vase", deliveryId: "d-1", quantity: 100 });
    await running.quiet();
    assert.equal(await shown(), "plenty");
  });

  it("does not show what has no price", async () => {
    await running.run("delete from pricing.prices where product_id = 'dominoes'");
    await assert.rejects(running.client(catalog).getProduct({ id: "dominoes" }), (thrown) =>
      isError(thrown, "PRODUCT_UNKNOWN"),
    );
    assert.deepEqual((await running.client(catalog).getProducts({ ids: ["dominoes"] })).products, []);
    await running.client(pricing).setPrice({ productId: "dominoes", cents: 2190 });
  });

  it("counts its categories", async () => {
    const { categories } = await running.client(catalog).listCategories();
    assert.ok(categories.length >= 5);
    const { products } = await running.client(catalog).listProducts({ category: "games", limit: 100 });
    assert.equal(categories.find(({ name }) => name === "games")?.count, products.length);
  });
});
