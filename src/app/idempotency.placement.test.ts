/** Idempotency keys, end to end, in each placement: the same statuses, the same answers, one effect. */
import assert from "node:assert/strict";
import { after, before, describe, it, test } from "node:test";
import { isError, newId } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, database, method, service } from "../service/index.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import type { TestApp } from "./testing.ts";
import { startTestApp } from "./testing.ts";

const Payment = t.Object({ id: t.String(), cents: t.Integer() });
const request = t.Object({
  account: t.String(),
  cents: t.Integer({ minimum: 1 }),
  note: t.Optional(t.String()),
  /** What happens on the way. */
  fate: t.Optional(t.String()),
});
const errors = { CARD_DECLINED: "failed_precondition", TRY_LATER: "unavailable" } as const;

const payments = contract("payments", {
  methods: {
    pay: method({
      http: "POST /payments",
      access: "public",
      idempotent: "keyed",
      request,
      response: Payment,
      status: 201,
      errors,
    }),
    transfer: method({
      http: "POST /transfers",
      access: "public",
      idempotent: { key: "required", keep: "1h" },
      request,
      response: Payment,
      errors,
    }),
    note: method({ http: "POST /notes", access: "public", idempotent: "keyed", request }),
    total: method({
      http: "GET /total/:account",
      access: "public",
      request: t.Object({ account: t.String() }),
      response: t.Object({ count: t.Integer() }),
    }),
  },
});

const gates = new Map<string, PromiseWithResolvers>();
interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  open(): void;
}
function gate(name: string): PromiseWithResolvers {
  let open = () => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  const made = { promise, open };
  gates.set(name, made);
  return made;
}

let runs = 0;

const paymentsService = service(payments, {
  needs: { db: database({ migrations: new URL("./fixtures/payments/", import.meta.url) }) },
  methods: {
    async pay({ account, cents, fate }, { once, fail }) {
      runs++;
      if (fate === "declined") throw fail("CARD_DECLINED", "The card was declined.", { details: { attempt: runs } });
      if (fate === "later") throw fail("TRY_LATER", "Not now.");
      if (fate === "bug") throw new Error("a bug");
      await gates.get(fate ?? "")?.promise;
      return once(async (tx) => {
        const id = newId();
        await tx.sql`insert into payments values (${id}, ${account}, ${cents})`;
        if (fate === "declined within") throw fail("CARD_DECLINED", "The card was declined.");
        return { id, cents, secret: "not in the contract" };
      });
    },
    transfer: ({ account, cents }, { once }) =>
      once(async (tx) => {
        const id = newId();
        await tx.sql`insert into payments values (${id}, ${account}, ${cents})`;
        return { id, cents };
      }),
    async note({ account }, { db }) {
      await db.sql`insert into payments values (${newId()}, ${account}, 1)`;
    },
    async total({ account }, { db }) {
      const [row] = await db.sql<{
        count: number;
      }>`select count(*)::int as count from payments where account = ${account}`;
      return { count: row?.count ?? 0 };
    },
  },
});

const bank = app({
  name: "bank",
  services: [paymentsService],
  placement: { edge: ["gateway"], core: ["payments"] },
});

const postgres = process.env.PLINTH_TEST_POSTGRES_URL;
const placements = [
  ["in one process", "process", undefined],
  ["over RPC", "groups", undefined],
  ["over RPC, on Postgres", "groups", postgres],
] as const;

for (const [name, placement, databaseUrl] of placements) {
  const skip = name.includes("Postgres") && !postgres ? "PLINTH_TEST_POSTGRES_URL is not set" : false;

  describe(`idempotency keys ${name}`, { skip }, () => {
    let running: TestApp;
    before(async () => {
      running = await startTestApp(bank, {
        placement,
        environment: databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl },
      });
    });
    after(() => running?.stop());

    const post = async (path: string, body: object, key?: string, headers = {}) => {
      const response = await fetch(running.url + path, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(key !== undefined && { "idempotency-key": `"${key}"` }),
          ...headers,
        },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      return {
        status: response.status,
        text,
        json: text === "" ? undefined : JSON.parse(text),
        replayed: response.headers.get("idempotency-replayed"),
        retryAfter: response.headers.get("retry-after"),
        type: response.headers.get("content-type"),
      };
    };
    const count = async (account: string) => (await running.client(payments).total({ account })).count;

    it("give a repeat the same status, body and headers, and say that it is one", async () => {
      const account = newId();
      const key = newId();
      const body = { account, cents: 7 };
      const first = await post("/payments", body, key);
      assert.equal(first.status, 201);
      assert.equal(first.replayed, null);
      const again = await post("/payments", body, key);
      assert.deepEqual(again, { ...first, replayed: "true" });
      assert.deepEqual(await post("/payments", { cents: 7, account }, key), again, "the order of fields is no matter");
      assert.equal(await count(account), 1);
      assert.deepEqual(Object.keys(first.json), ["id", "cents"]);
    });

    it("are no matter to a call without one: each has its effect", async () => {
      const account = newId();
      const first = await post("/payments", { account, cents: 7 });
      const second = await post("/payments", { account, cents: 7 });
      assert.notEqual(first.json.id, second.json.id);
      assert.equal(await count(account), 2);
    });

    it("refuse another body with 422, and a method that needs one answers 400 without", async () => {
      const account = newId();
      const key = newId();
      await post("/payments", { account, cents: 7 }, key);
      const other = await post("/payments", { account, cents: 8 }, key);
      assert.deepEqual(
        [other.status, other.json.reason, other.type],
        [422, "IDEMPOTENCY_KEY_REUSED", "application/problem+json"],
      );
      assert.equal((await post("/transfers", { account, cents: 8 }, key)).status, 200, "another method, another key");
      const missing = await post("/transfers", { account, cents: 7 });
      assert.deepEqual([missing.status, missing.json.reason], [400, "IDEMPOTENCY_KEY_MISSING"]);
      const invalid = await post("/transfers", { account, cents: 7 }, "", { "idempotency-key": "a b" });
      assert.deepEqual([invalid.status, invalid.json.reason], [400, "IDEMPOTENCY_KEY_INVALID"]);
      assert.equal(await count(account), 2);
    });

    it("refuse a repeat with 409 and Retry-After while the first one runs, and at once", async () => {
      const account = newId();
      const key = newId();
      const { open } = gate(account);
      const body = { account, cents: 7, fate: account };
      const first = post("/payments", body, key);
      for (let i = 0; i < 200; i++) {
        const startedAt = performance.now();
        const repeat = await post("/payments", body, key);
        if (repeat.status === 409) {
          assert.deepEqual([repeat.json.reason, repeat.retryAfter], ["IDEMPOTENCY_IN_PROGRESS", "1"]);
          assert.ok(performance.now() - startedAt < 900, "no policy inside waits and asks again");
          break;
        }
        assert.fail(`answered ${repeat.status}`);
      }
      const other = await post("/payments", { account, cents: 8 }, key);
      assert.equal(other.status, 422, "also while it runs");
      open();
      assert.equal((await first).status, 201);
      assert.deepEqual((await post("/payments", body, key)).json, (await first).json);
      assert.equal(await count(account), 1);
    });

    it("have one effect for twenty at once", async () => {
      const account = newId();
      const key = newId();
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => post("/payments", { account, cents: 7 }, key)),
      );
      const statuses = new Set(answers.map(({ status }) => status));
      for (const status of statuses) assert.ok(status === 201 || status === 409, `${status}`);
      assert.equal(new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text)).size, 1);
      assert.equal(await count(account), 1);
    });

    it("keep a declared error, with its details, and not one that a repeat may get past", async () => {
      const account = newId();
      for (const fate of ["declined", "declined within"]) {
        const key = newId();
        const first = await post("/payments", { account, cents: 7, fate }, key);
        const ran = runs;
        const again = await post("/payments", { account, cents: 7, fate }, key);
        assert.deepEqual([first.status, first.json.reason, first.replayed], [400, "CARD_DECLINED", null]);
        assert.deepEqual([again.status, again.json.reason, again.replayed], [400, "CARD_DECLINED", "true"]);
        assert.equal(again.json.attempt, first.json.attempt);
        assert.equal(runs, ran, "the handler did not run again");
      }
      for (const [fate, status] of [
        ["later", 503],
        ["bug", 500],
      ] as const) {
        const key = newId();
        assert.equal((await post("/payments", { account, cents: 7, fate }, key)).status, status);
        const ran = runs;
        assert.equal((await post("/payments", { account, cents: 7, fate }, key)).status, status);
        assert.ok(runs > ran, "the handler ran again");
      }
      assert.equal(await count(account), 0);
    });

    it("keep the answer of a handler that never calls once, after it", async () => {
      const account = newId();
      const key = newId();
      assert.equal((await post("/notes", { account, cents: 1 }, key)).status, 204);
      const again = await post("/notes", { account, cents: 1 }, key);
      assert.deepEqual([again.status, again.replayed], [204, "true"]);
      assert.equal(await count(account), 1);
    });

    it("hold for calls of services as well", async () => {
      const account = newId();
      const client = running.client(payments);
      const idempotencyKey = newId();
      const first = await client.pay({ account, cents: 7 }, { idempotencyKey });
      assert.deepEqual(await client.pay({ account, cents: 7 }, { idempotencyKey }), first);
      await assert.rejects(client.pay({ account, cents: 8 }, { idempotencyKey }), { reason: "IDEMPOTENCY_KEY_REUSED" });
      await assert.rejects(client.transfer({ account, cents: 8 }), (thrown) =>
        isError(thrown, "IDEMPOTENCY_KEY_MISSING"),
      );
      assert.equal(await count(account), 1);
    });
  });
}

const members = contract("members", {
  methods: {
    join: method({
      http: "POST /members",
      access: "public",
      idempotent: "keyed",
      request: t.Object({ id: t.String(), email: t.String() }),
      response: t.Object({ id: t.String(), email: t.String() }),
    }),
    emails: method({
      request: t.Object({ id: t.String() }),
      response: t.Object({ count: t.Integer() }),
      access: "public",
    }),
  },
});

test("in a sharded service the answer lies with the data of its key", async () => {
  const club = app({
    name: "club",
    services: [
      service(members, {
        needs: {
          db: database({
            migrations: new URL("./fixtures/members/", import.meta.url),
            shardBy: { members: "id", notes: "member_id" },
          }),
        },
        methods: {
          join: ({ id, email }, { once }) =>
            once(
              async (tx) => {
                await tx.sql`insert into members values (${id}, ${email})`;
                return { id, email };
              },
              { at: id },
            ),
          async emails({ id }, { db }) {
            const [row] = await db.at(id).sql<{
              count: number;
            }>`select count(*)::int as count from members where id = ${id}`;
            return { count: row?.count ?? 0 };
          },
        },
      }),
    ],
  });
  const running = await startTestApp(club);
  try {
    const client = running.client(members);
    const ada = { id: "ada", email: "ada@example.com" };
    assert.deepEqual(await client.join(ada, { idempotencyKey: "k" }), ada);
    assert.deepEqual(await client.join(ada, { idempotencyKey: "k" }), ada, "no second insert, which would be refused");
    await assert.rejects(client.join({ ...ada, email: "other@example.com" }, { idempotencyKey: "k" }), {
      reason: "IDEMPOTENCY_KEY_REUSED",
    });
    assert.deepEqual(await client.emails({ id: "ada" }), { count: 1 });
    assert.deepEqual(await client.join({ id: "bea", email: "b@example.com" }), { id: "bea", email: "b@example.com" });
  } finally {
    await running.stop();
  }
});

test("a service that is given a database of the test's own has its effects there", async () => {
  const written: string[] = [];
  const tx = { sql: async () => void written.push("written") };
  const running = await startTestApp(bank, {
    doubles: { payments: { db: { transaction: (run: (tx: unknown) => unknown) => run(tx) } } },
  });
  const paid = await running.client(payments).pay({ account: "a", cents: 7 }, { idempotencyKey: "k" });
  assert.deepEqual([paid.cents, written], [7, ["written"]]);
  await running.stop();
});

test("what cannot be kept is refused at start, with the remedy", () => {
  const wrong = (options: object, needs: object = { db: database() }) => {
    const thing = contract("thing", { methods: { act: method({ access: "public", ...options }) } });
    buildModel(app({ name: "x", services: [service(thing, { needs, methods: { act: async () => {} } } as never)] }));
  };
  assert.throws(() => wrong({ idempotent: "keyed" }, {}), /thing\.act: idempotent: .* add a database\(\) to "needs"/);
  assert.throws(() => wrong({ idempotent: { key: "maybe" } }), /write true, false, "keyed", or/);
  assert.throws(
    () => wrong({ idempotent: { key: "required", keep: "31d" } }),
    /keep "31d" cannot be; give "1s" to "30d"/,
  );
  assert.throws(() => wrong({ idempotent: "keyed", http: "GET /things" }), /GET changes nothing/);
  assert.throws(() => wrong({ idempotent: "keyed", response: t.Bytes() }), /t\.Bytes\(\) cannot be kept/);
  assert.throws(
    () => wrong({ idempotent: "keyed", response: t.String(), cache: { ttl: "1s" } }),
    /is not cached as well/,
  );
});
