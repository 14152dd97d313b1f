import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { app, isError } from "plinth";
import { startTestApp, type TestApp } from "plinth/testing";
import { catalog } from "./contract.ts";
import { fromCursor, toCursor } from "./cursor.ts";
import catalogService from "./service.ts";

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
  let running: TestApp;
  before(async () => {
    running = await startTestApp(app({ name: "catalog", services: [catalogService] }));
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

  it("counts its categories", async () => {
    const { categories } = await running.client(catalog).listCategories();
    assert.ok(categories.length >= 5);
    const { products } = await running.client(catalog).listProducts({ category: "games", limit: 100 });
    assert.equal(categories.find(({ name }) => name === "games")?.count, products.length);
  });
});
