import assert from "node:assert/strict";
import { createClient } from "@redis/client";
import { Redis } from "ioredis";
import { drive } from "../../call/drive.ts";
import { announce } from "../../child.ts";
import { productCount, productOf, readerCount } from "../../state/orders.ts";

/** What a program without a cache of its own would write: GET, and JSON.parse. */
const [which = "", url = ""] = process.argv.slice(2);
const prefix = `plinth-bench-${process.pid}:`;

interface Store {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<unknown>;
  del(key: string): Promise<unknown>;
}

const store: Store = which === "@redis/client" ? await redisClient() : new Redis(url, { enableAutoPipelining: true });
for (let n = 0; n < productCount; n++) await store.set(`${prefix}${n}`, JSON.stringify(productOf(n)));
assert.deepEqual(await read(7), productOf(7));
let product = 0;

announce(
  {},
  {
    read: (seconds) =>
      drive(
        async () => {
          product = (product + 1) % productCount;
          if ((await read(product)) === undefined) throw new Error("the cache has lost something");
        },
        seconds,
        readerCount,
      ),
    async end() {
      for (let n = 0; n < productCount; n++) await store.del(`${prefix}${n}`);
    },
  },
);

async function read(n: number): Promise<unknown> {
  const text = await store.get(`${prefix}${n}`);
  return text === null ? undefined : JSON.parse(text);
}

async function redisClient(): Promise<Store> {
  return createClient({ url }).connect();
}
