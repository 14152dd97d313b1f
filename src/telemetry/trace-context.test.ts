import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTrace, parseTracestate, toTrace } from "./trace-context.ts";

const traceId = "12345678901234567890123456789012";
const spanId = "1234567890123456";
const valid = `00-${traceId}-${spanId}-01`;

// The cases of the working group's own harness (w3c/trace-context, test/test.py), and a few more.
const refused: Record<string, string | string[] | undefined> = {
  "none at all": undefined,
  "an empty one": "",
  "two headers": [valid, valid],
  "two headers joined": `${valid}, ${valid}`,
  "version 00 with a dot after": `${valid}.`,
  "version 00 with more after": `${valid}-what-the-future-will-be-like`,
  "a future version with a dot": `cc-${traceId}-${spanId}-01.what`,
  "a future version twice": `cc-${traceId}-${spanId}-01-x, cc-${traceId}-${spanId}-01-x`,
  "version ff": `ff-${traceId}-${spanId}-01`,
  "version .0": `.0-${traceId}-${spanId}-01`,
  "version 0.": `0.-${traceId}-${spanId}-01`,
  "version 000": `000-${traceId}-${spanId}-01`,
  "version 0": `0-${traceId}-${spanId}-01`,
  "a zero trace id": `00-${"0".repeat(32)}-${spanId}-01`,
  "a zero span id": `00-${traceId}-${"0".repeat(16)}-01`,
  "a dot in the trace id": `00-.${traceId.slice(1)}-${spanId}-01`,
  "a dot at the end of the trace id": `00-${traceId.slice(1)}.-${spanId}-01`,
  "a long trace id": `00-${traceId}3-${spanId}-01`,
  "a short trace id": `00-${traceId.slice(1)}-${spanId}-01`,
  "a dot in the span id": `00-${traceId}-.${spanId.slice(1)}-01`,
  "a long span id": `00-${traceId}-${spanId}7-01`,
  "flags .0": `00-${traceId}-${spanId}-.0`,
  "flags 0.": `00-${traceId}-${spanId}-0.`,
  "flags 001": `00-${traceId}-${spanId}-001`,
  "flags 1": `00-${traceId}-${spanId}-1`,
  "upper case in the trace id": `00-ABCDEF78901234567890123456789012-${spanId}-01`,
  "upper case in the version": `0A-${traceId}-${spanId}-01`,
  "a line break around it": `\n${valid}`,
  "other dashes": valid.replaceAll("-", "_"),
};
for (const [name, header] of Object.entries(refused)) {
  test(`refuses ${name}`, () => {
    assert.equal(parseTrace(header, "foo=1"), undefined);
  });
}

test("reads a valid header, also with white space around it and as the only one of a list", () => {
  for (const header of [valid, ` ${valid}`, `\t ${valid} \t`, [valid]]) {
    const trace = parseTrace(header);
    assert.deepEqual([trace?.traceId, trace?.spanId, trace?.sampled], [traceId, spanId, true]);
    assert.equal(trace?.traceparent(), valid);
  }
});

test("reads a future version as 00, with or without more after it", () => {
  for (const header of [
    `cc-${traceId}-${spanId}-01`,
    `cc-${traceId}-${spanId}-01-what-the-future`,
    `01-${traceId}-${spanId}-01-`,
  ]) {
    assert.equal(parseTrace(header)?.traceparent(), valid);
  }
});

test("keeps sampled and random, and no other flag", () => {
  const flags = (text: string) => parseTrace(`00-${traceId}-${spanId}-${text}`)?.traceparent().slice(-2);
  assert.deepEqual(["00", "01", "02", "03", "ff", "fc"].map(flags), ["00", "01", "02", "03", "03", "00"]);
});

const members = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `bar${from + i}=${from + i}`).join(",");
const letters = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
  .join("")
  .replaceAll(/[,=]/g, "");

const states: Record<string, [string | string[] | undefined, string | undefined]> = {
  "none is none": [undefined, undefined],
  "an empty one is none": ["", undefined],
  "only commas are none": [" , ,", undefined],
  "it is kept in order": ["foo=1,bar=2", "foo=1,bar=2"],
  "headers are combined in order": [["foo=1,bar=2", "rojo=1", "", "baz=3"], "foo=1,bar=2,rojo=1,baz=3"],
  "white space around members goes": ["\t foo=1 \t , \t bar=2 ", "foo=1,bar=2"],
  "32 members are kept": [[members(1, 20), members(21, 32)], members(1, 32)],
  "33 members are dropped": [[members(1, 20), members(21, 33)], undefined],
  "a key that comes twice drops it": ["foo=1,foo=2", undefined],
  "all allowed characters pass": [`${letters}=${printable}`, `${letters}=${printable}`],
  "a tenant and a system pass": [`${letters}@a-z0-9_-*/=1`, `${letters}@a-z0-9_-*/=1`],
  "a space in the key drops it": ["foo =1", undefined],
  "upper case in the key drops it": ["FOO=1", undefined],
  "a dot in the key drops it": ["foo.bar=1", undefined],
  "an empty system drops it": ["foo@=1,bar=2", undefined],
  "an empty tenant drops it": ["@foo=1,bar=2", undefined],
  "two at-signs drop it": ["foo@@bar=1,bar=2", undefined],
  "two systems drop it": ["foo@bar@baz=1,bar=2", undefined],
  "a key of 256 passes": [`foo=1,${"z".repeat(256)}=1`, `foo=1,${"z".repeat(256)}=1`],
  "a key of 257 drops it": [`foo=1,${"z".repeat(257)}=1`, undefined],
  "a tenant of 241 passes": [`${"t".repeat(241)}@${"v".repeat(14)}=1`, `${"t".repeat(241)}@${"v".repeat(14)}=1`],
  "a tenant of 242 drops it": [`${"t".repeat(242)}@v=1`, undefined],
  "a system of 15 drops it": [`t@${"v".repeat(15)}=1`, undefined],
  "an equals sign in the value drops it": ["foo=bar=baz", undefined],
  "an empty value drops it": ["foo=,bar=3", undefined],
  "no equals sign drops it": ["foo", undefined],
  "a value of 257 drops it": [`foo=${"v".repeat(257)}`, undefined],
};
for (const [name, [given, expected]] of Object.entries(states)) {
  test(`tracestate: ${name}`, () => {
    assert.equal(parseTracestate(given), expected);
    assert.equal(parseTrace(valid, given)?.tracestate, expected);
  });
}

test("long runs of white space cost no time", () => {
  const evil = `foo=${" ".repeat(200_000)}x\u0001`;
  assert.equal(parseTracestate(evil), undefined);
  assert.equal(parseTrace(`a${" \t".repeat(100_000)}b`), undefined);
});

test("goes through numbers and back, whole", () => {
  const header = "00-f2345678901234567890123456789012-8000000000000001-03";
  const words = new Int32Array(6);
  const flags = parseTrace(header)?.writeIds(words) ?? 0;
  const trace = toTrace(words, flags, "x=1");
  assert.equal(trace?.traceparent(), header);
  assert.equal(trace?.tracestate, "x=1");
  words.fill(0);
  assert.equal(trace?.traceparent(), header, "the numbers may be used again");
});

test("numbers that name no trace or no span begin a new one, and unknown flags are dropped", () => {
  assert.equal(toTrace(new Int32Array([0, 0, 0, 0, 1, 2]), 1), undefined);
  assert.equal(toTrace(new Int32Array([1, 2, 3, 4, 0, 0]), 1), undefined);
  assert.equal(toTrace(new Int32Array([0, 0, 0, -1, 0, 1]), 0xff)?.flags, 3);
});
