import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { addNotes, KeptAnswers, notesOf } from "./kept-answer.ts";

describe("kept answers", () => {
  test("are read once for as long as the cache holds the same text", () => {
    const answers = new KeptAnswers<{ a: { n: number } }>();
    const first = answers.read("k", '{"a":{"n":1}}');
    assert.equal(answers.read("k", '{"a":{"n":1}}'), first);
    const second = answers.read("k", '{"a":{"n":2}}');
    assert.deepEqual(second, { a: { n: 2 } });
    assert.equal(answers.read("k", '{"a":{"n":2}}'), second);
  });

  test("cannot be changed by who gets them, in any part", () => {
    const { a } = new KeptAnswers<{ a: { list: { n: number }[] } }>().read("k", '{"a":{"list":[{"n":1}]}}');
    assert.throws(() => a.list.push({ n: 2 }), TypeError);
    assert.throws(() => Object.assign(a.list[0] as object, { n: 2 }), TypeError);
  });

  test("are forgotten when a thousand others were read twice over, and long ones at once", () => {
    const answers = new KeptAnswers<{ n: number }>();
    const first = answers.read("first", '{"n":1}');
    for (let i = 0; i < 1_000; i++) answers.read(`other${i}`, '{"n":2}');
    assert.equal(answers.read("first", '{"n":1}'), first, "one generation later");
    for (let i = 0; i < 2_001; i++) answers.read(`another${i}`, '{"n":2}');
    assert.notEqual(answers.read("first", '{"n":1}'), first);
    const long = `{"n":1${" ".repeat(130_000)}}`;
    assert.notEqual(answers.read("long", long), answers.read("long", long));
  });

  test("have notes once somebody says that they are kept, and others have none", () => {
    const answer = { n: 1 };
    assert.equal(notesOf(answer), undefined);
    addNotes(answer);
    const notes = notesOf(answer);
    assert.deepEqual(notes, { body: undefined, etags: new Map() });
    addNotes(answer);
    assert.equal(notesOf(answer), notes);
    assert.equal(notesOf("text"), undefined);
    assert.equal(notesOf(null), undefined);
  });
});
