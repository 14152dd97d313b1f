import assert from "node:assert/strict";
import { test } from "node:test";
import { isError, newId } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { t } from "../schema/index.ts";
import { contract, database, event, method, service } from "../service/index.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { createRuntime } from "./runtime.ts";

const members = contract("members", {
  methods: {
    join: method({
      request: t.Object({ email: t.String() }),
      response: t.Object({ id: t.String() }),
      errors: { EMAIL_TAKEN: "already_exists" },
      access: "public",
    }),
    find: method({
      request: t.Object({ email: t.String() }),
      response: t.Object({ email: t.String() }),
      errors: ["not_found"],
      access: "public",
    }),
    count: method({ response: t.Object({ members: t.Integer() }), access: "public" }),
  },
  events: { Joined: event({ key: "id", payload: t.Object({ id: t.String() }) }) },
});

const membersService = service(members, {
  needs: {
    db: database({
      migrations: new URL("./fixtures/members/", import.meta.url),
      shardBy: { members: "id", notes: "member_id" },
    }),
  },
  methods: {
    async join({ email }, { db, events, fail }) {
      const id = db.newId();
      const claim = await db.directory.claim("email", email, id).catch((thrown: unknown) => {
        if (isError(thrown, "CLAIM_TAKEN")) throw fail("EMAIL_TAKEN", "Somebody has this address.");
        throw thrown;
      });
      await db.at(id).transaction(async (tx) => {
        await claim.confirm(tx);
        await tx.sql`insert into members values (${id}, ${email})`;
        await events.publish(members.Joined, { id }, { in: tx });
      });
      return { id };
    },
    async find({ email }, { db, fail }) {
      const id = await db.directory.lookup("email", email);
      const [row] = id ? await db.at(id).sql`select email from members where id = ${id}` : [];
      if (!row) throw fail("not_found", "Nobody has this address.");
      return { email: String(row.email) };
    },
    async count(_request, { db }) {
      const { rows } = await db.scatter<{ id: string }>(sql`select id from members`, {
        orderBy: [{ column: "id", type: "text" }],
        limit: 1000,
      });
      return { members: rows.length };
    },
  },
});

const welcome = contract("welcome", {
  methods: { welcomed: method({ response: t.Object({ count: t.Integer() }), access: "public" }) },
});
const welcomeService = service(welcome, {
  needs: { db: database({ migrations: new URL("./fixtures/clock/", import.meta.url) }) },
  methods: {
    async welcomed(_request, { db }) {
      const [row] = await db.sql<{ count: number }>`select count(*)::int as count from beats`;
      return { count: row?.count ?? 0 };
    },
  },
  subscriptions: {
    greet: {
      event: members.Joined,
      handle: async ({ id }, { tx }) => void (await tx.sql`insert into beats values (${id}, 'joined')`),
    },
  },
});

const club = app({ name: "club", services: [membersService, welcomeService] });

async function walk(environment: Readonly<Record<string, string>>): Promise<void> {
  const runtime = await createRuntime(club, {
    environment: { NODE_ENV: "test", PLINTH_LOG: "silent", ...environment },
    settings: { port: 0 },
    management: false,
  });
  await runtime.start();
  try {
    const client = runtime.client(members);
    for (let i = 0; i < 20; i++) await client.join({ email: `${i}@example.com` });
    await assert.rejects(client.join({ email: "7@example.com" }), { reason: "EMAIL_TAKEN" });
    assert.deepEqual(await client.find({ email: "13@example.com" }), { email: "13@example.com" });
    await assert.rejects(client.find({ email: "nobody@example.com" }), { code: "not_found" });
    assert.deepEqual(await client.count(), { members: 20 });
    const greeted = runtime.client(welcome);
    for (let i = 0; i < 200 && (await greeted.welcomed()).count < 20; i++)
      await new Promise((go) => setTimeout(go, 25));
    assert.deepEqual(await greeted.welcomed(), { count: 20 }, "events of every shard arrive, each once");
  } finally {
    await runtime.stop();
  }
}

test("a sharded service works on the embedded database, which is its only shard", () =>
  walk({ DATABASE_URL: "pglite:memory" }));

const url = process.env.PLINTH_TEST_POSTGRES_URL;
test("a sharded service works on two servers", {
  skip: url ? false : "PLINTH_TEST_POSTGRES_URL is not set",
}, async () => {
  const names = ["a", "b"].map((name) => `plinth_club_${name}_${newId().replaceAll("-", "")}`);
  const admin = postgres.ports.database?.(new URL(url ?? "")) as DatabaseDriver;
  await admin.open();
  const db = createDatabase({ driver: admin, schema: "public" });
  const [first = "", second = ""] = names.map(
    (name) => Object.assign(new URL(url ?? ""), { pathname: `/${name}` }).href,
  );
  try {
    for (const name of names) await db.execute(sql`create database ${sql.id(name)}`);
    await walk({ DATABASE_URL: first, DATABASE_SHARDS: `b=${second}` });
  } finally {
    for (const name of names) await db.execute(sql`drop database if exists ${sql.id(name)} with (force)`);
    await admin.close();
  }
});

test("the Model says by what a service is sharded", () => {
  const [need] = buildModel(club).services[0]?.needs ?? [];
  assert.deepEqual(need?.shardBy, { members: "id", notes: "member_id" });
});

test("a sharded service with a subscription or a schedule is refused, with the remedy", () => {
  const odd = service(members, {
    needs: membersService.needs as { db: ReturnType<typeof database> },
    methods: membersService.methods as never,
    schedules: { nightly: { every: "1d", async handle() {} } },
  });
  assert.throws(
    () => buildModel(app({ name: "club", services: [odd] })),
    /members: needs: with "shardBy" there is no one/,
  );
});
