import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isError } from "../base/index.ts";
import { createPasswords } from "./passwords.ts";

const cheap = { ln: 4, r: 8, p: 1 };

describe("a password", () => {
  it("is kept as a salted PHC string that tells its own cost, and is recognised again", async () => {
    const passwords = createPasswords();
    const one = await passwords.hash("an engine of brass");
    assert.match(one, /^\$scrypt\$ln=17,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.deepEqual(await passwords.verify("an engine of brass", one), { isRight: true, isOutdated: false });
    assert.deepEqual(await passwords.verify("an engine of brasS", one), { isRight: false, isOutdated: false });
    assert.notEqual(await createPasswords({ cost: cheap }).hash("x"), await createPasswords({ cost: cheap }).hash("x"));
  });

  it("is the same however its letters are put together", async () => {
    const passwords = createPasswords({ cost: cheap });
    const word = "caf\u00e9 cr\u00e8me";
    assert.ok((await passwords.verify(word.normalize("NFD"), await passwords.hash(word))).isRight);
  });

  it("kept at another cost is recognised, and known to be outdated", async () => {
    const old = await createPasswords({ cost: cheap }).hash("an engine of brass");
    const now = createPasswords({ cost: { ln: 5, r: 8, p: 1 } });
    assert.deepEqual(await now.verify("an engine of brass", old), { isRight: true, isOutdated: true });
    assert.deepEqual(await now.verify("wrong", old), { isRight: false, isOutdated: false });
  });

  it("is checked for nobody too, at the same cost, and is never right", async () => {
    const passwords = createPasswords({ cost: { ln: 14, r: 8, p: 1 } });
    const stored = await passwords.hash("an engine of brass");
    const timeOf = async (kept: string | undefined) => {
      const times: number[] = [];
      for (let i = 0; i < 5; i++) {
        const from = process.hrtime.bigint();
        assert.equal((await passwords.verify("wrong", kept)).isRight, false);
        times.push(Number(process.hrtime.bigint() - from));
      }
      return Math.min(...times);
    };
    const [known, nobody] = [await timeOf(stored), await timeOf(undefined)];
    assert.ok(nobody > known / 3 && nobody < known * 3, `${known} ns for somebody, ${nobody} ns for nobody`);
  });

  it("kept in a form that nobody knows is an error, not a wrong password", async () => {
    const passwords = createPasswords({ cost: cheap });
    await assert.rejects(passwords.verify("anything", "md5:5f4dcc3b"), /unknown form/);
  });

  it("waits in a line that has an end: whoever comes then may come back in a second", async () => {
    const passwords = createPasswords({ cost: cheap, runningMax: 2, waitingMax: 3 });
    const ask = (count: number) =>
      Promise.allSettled(Array.from({ length: count }, () => passwords.verify("x", undefined)));
    const reasons = (await ask(8)).flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    assert.equal(reasons.length, 3);
    for (const reason of reasons) assert.ok(isError(reason, "PASSWORDS_BUSY") && reason.retry === 1000);
    assert.ok(
      (await ask(5)).every((each) => each.status === "fulfilled"),
      "the line is empty again",
    );
  });
});
