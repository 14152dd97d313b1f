import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startTestApp, type TestApp } from "plinth/testing";
import app from "../app.ts";
import { notes } from "./contract.ts";

let running: TestApp;
before(async () => {
  running = await startTestApp(app);
});
after(() => running.stop());

const post = (body: unknown) =>
  fetch(`${running.url}/notes`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

test("a note that was added can be read, over HTTP and by other services", async () => {
  const answer = await post({ text: "buy milk" });
  assert.equal(answer.status, 201);
  const note = (await answer.json()) as { id: string; text: string };
  assert.equal(note.text, "buy milk");
  assert.deepEqual(await (await fetch(`${running.url}/notes/${note.id}`)).json(), note);
  assert.deepEqual(await running.client(notes).getNote({ id: note.id }), note);
});

test("a note without text is refused, and the answer says why", async () => {
  const answer = await post({ text: "" });
  assert.equal(answer.status, 422);
  const problem = (await answer.json()) as { reason: string; violations: { pointer: string }[] };
  assert.equal(problem.reason, "VALIDATION_FAILED");
  assert.equal(problem.violations[0]?.pointer, "/text");
});

test("a note that does not exist is not found", async () => {
  const answer = await fetch(`${running.url}/notes/00000000-0000-4000-8000-000000000000`);
  assert.equal(answer.status, 404);
  assert.equal(((await answer.json()) as { reason: string }).reason, "NOTE_UNKNOWN");
});

test("each note is counted once its event has arrived", async () => {
  const { getStatistics } = running.client(notes);
  const before = await getStatistics();
  await post({ text: "three more words" });
  let now = before;
  for (let i = 0; i < 100 && now.notes === before.notes; i++) {
    await sleep(20);
    now = await getStatistics();
  }
  assert.deepEqual(now, { notes: before.notes + 1, words: before.words + 3 });
});
