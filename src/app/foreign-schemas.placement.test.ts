/** Schemas of zod and valibot in every place that takes a schema, with calls straight and over RPC. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { toStandardJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import * as z from "zod";
import { isError } from "../base/index.ts";
import { contract, database, event, method, service, stream } from "../service/index.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { startTestApp } from "./testing.ts";

const Line = toStandardJsonSchema(v.object({ text: v.pipe(v.string(), v.minLength(2)) }));

const notes = contract("notes", {
  methods: {
    add: method({
      http: "POST /notes",
      request: z.object({ text: z.string().min(2), tags: z.array(z.string()).default([]) }),
      response: z.object({ text: z.string(), tagCount: z.number().int() }),
      access: "public",
    }),
    find: method({ http: "GET /notes/:text", request: Line, response: Line, access: "public" }),
    list: stream({ http: "GET /notes", item: Line, access: "public" }),
    shift: method({
      http: "POST /notes/:at/shift",
      request: z.object({ at: z.string().transform(Number), by: z.string().transform((by) => `${by}!`) }),
      response: z.object({ at: z.number(), by: z.string() }),
      access: "public",
    }),
    shifts: stream({
      http: "GET /shifts",
      request: z.object({ from: z.string().transform(Number) }),
      item: z.object({ from: z.number() }),
      access: "public",
    }),
    heard: method({ response: z.object({ texts: z.array(z.string()) }), access: "public" }),
  },
  events: { NoteAdded: event({ key: "text", payload: z.object({ text: z.string(), size: z.number() }) }) },
});

const desk = contract("desk", {
  methods: {
    add: method({
      http: "POST /desk",
      request: z.object({ text: z.string() }),
      response: z.object({ text: z.string(), tagCount: z.number().int() }),
      access: "public",
    }),
  },
});

const heard: string[] = [];

const definition = app({
  name: "foreign",
  services: [
    service(notes, {
      needs: { db: database() },
      methods: {
        async add({ text, tags }, { db, events }) {
          await db.transaction((tx) => events.publish(notes.NoteAdded, { text, size: text.length }, { in: tx }));
          return { text, tagCount: tags.length, secret: "s" };
        },
        async find({ text }) {
          return { text };
        },
        async *list() {
          yield { text: "one" };
          yield { text: "two" };
        },
        async shift({ at, by }) {
          return { at: at + 1, by };
        },
        async *shifts({ from }) {
          yield { from: from + 1 };
        },
        async heard() {
          return { texts: heard };
        },
      },
      subscriptions: {
        hear: {
          event: notes.NoteAdded,
          async handle({ text, size }) {
            heard.push(`${text}/${size}`);
          },
        },
      },
    }),
    service(desk, { needs: { notes }, methods: { add: ({ text }, { notes }) => notes.add({ text }) } }),
  ],
  placement: { edge: ["gateway", "desk"], back: ["notes"] },
});

for (const placement of ["process", "groups"] as const) {
  test(`zod and valibot schemas work in requests, answers, streams and events (${placement})`, async () => {
    heard.length = 0;
    const running = await startTestApp(definition, { placement });
    const post = async (path: string, body: unknown) => {
      const response = await fetch(running.url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return { status: response.status, json: (await response.json()) as Record<string, unknown> };
    };
    try {
      assert.deepEqual(await post("/notes", { text: "hello" }), { status: 200, json: { text: "hello", tagCount: 0 } });
      assert.deepEqual(await post("/desk", { text: "inner" }), { status: 200, json: { text: "inner", tagCount: 0 } });
      const refused = await post("/notes", { text: "x", tags: [7] });
      assert.equal(refused.status, 422);
      const pointers = (refused.json.violations as { pointer: string }[]).map((violation) => violation.pointer);
      assert.deepEqual(pointers.sort(), ["/tags/0", "/text"]);
      assert.deepEqual(await (await fetch(`${running.url}/notes/abc`)).json(), { text: "abc" });
      assert.equal((await fetch(`${running.url}/notes/a`)).status, 422);
      // What transforms does so once, wherever the callee lives.
      assert.deepEqual(await post("/notes/41/shift", { by: "me" }), { status: 200, json: { at: 42, by: "me!" } });
      assert.deepEqual(await running.client(notes).shift({ at: "1", by: "us" }), { at: 2, by: "us!" });
      assert.equal((await post("/notes/41/shift", { by: 7 })).status, 422);
      assert.equal(await (await fetch(`${running.url}/shifts?from=6`)).text(), '{"from":7}\n');
      const lines = (await (await fetch(`${running.url}/notes`)).text()).trim().split("\n");
      assert.deepEqual(
        lines.map((line) => JSON.parse(line).text),
        ["one", "two"],
      );
      await assert.rejects(running.client(notes).find({ text: "a" }), (thrown) => isError(thrown, "VALIDATION_FAILED"));
      for (let i = 0; i < 100 && heard.length < 2; i++) await sleep(30);
      assert.deepEqual([...heard].sort(), ["hello/5", "inner/5"]);
    } finally {
      await running.stop();
    }
  });
}

test("the Model shows foreign schemas as JSON Schema", () => {
  const add = buildModel(definition).services[0]?.methods.find((each) => each.name === "add");
  assert.deepEqual(add?.request?.required, ["text"]);
  assert.deepEqual(Object.keys(add?.response?.properties ?? {}), ["text", "tagCount"]);
});
