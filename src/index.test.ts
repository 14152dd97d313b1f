/** The public door: what a program gets that starts its app itself. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { app, contract, createRuntime, method, service, t } from "./index.ts";

const hello = contract("hello", {
  methods: { greet: method({ http: "GET /hello", response: t.Object({ text: t.String() }), access: "public" }) },
});
const helloService = service(hello, {
  methods: {
    async greet() {
      return { text: "hi" };
    },
  },
});
const environment = { NODE_ENV: "test", PLINTH_LOG: "silent", PORT: "0" };

test("a runtime that listens serves its documents, unless the app says that it does not", async () => {
  for (const docs of [true, false]) {
    const definition = app({ name: "hello", services: [helloService], gateway: { docs } });
    const runtime = await createRuntime(definition, { environment, management: false });
    const { gateway } = await runtime.start();
    try {
      const reference = await fetch(`${gateway}/docs`);
      const document = await fetch(`${gateway}/openapi.json`);
      assert.deepEqual([reference.status, document.status], docs ? [200, 200] : [404, 404]);
      assert.equal((await reference.text()).includes("/hello"), docs);
      assert.equal((await document.text()).includes('"/hello"'), docs);
    } finally {
      await runtime.stop();
    }
  }
});

test("a runtime that is mounted leaves the documents' paths to the outer app", async () => {
  const definition = app({ name: "hello", services: [helloService] });
  const runtime = await createRuntime(definition, { environment, management: false, listen: false });
  await runtime.start();
  const outer = createServer((req, res) => runtime.handler?.(req, res, () => void res.end("outer")));
  await new Promise<void>((resolve) => outer.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(outer.address() as AddressInfo).port}`;
  assert.equal(await (await fetch(`${url}/docs`)).text(), "outer");
  assert.deepEqual(await (await fetch(`${url}/hello`)).json(), { text: "hi" });
  outer.close();
  outer.closeAllConnections();
  await runtime.stop();
});
