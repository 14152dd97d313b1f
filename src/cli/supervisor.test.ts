import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../base/index.ts";
import { createSupervisor, MemberFailed } from "./supervisor.ts";

const ready = 'process.send({ plinth: "ready", addresses: { rpc: "127.0.0.1:1" } });';
const untilTerm = 'setInterval(() => {}, 1000); process.on("SIGTERM", () => process.exit(0));';

interface Spawned {
  readonly children: ChildProcess[];
  readonly said: string[];
}

function supervise(scripts: readonly string[], options: { graceMs?: number; backoffMs?: number } = {}) {
  const spawned: Spawned = { children: [], said: [] };
  const supervisor = createSupervisor({
    clock: systemClock,
    graceMs: options.graceMs ?? 10_000,
    backoffMs: { min: options.backoffMs ?? 20, max: 2 * (options.backoffMs ?? 20) },
    say: (text) => spawned.said.push(text),
    members: scripts.map((script, i) => ({
      name: `member ${i}`,
      spawn() {
        const child = spawn(process.execPath, ["-e", script], {
          stdio: ["ignore", "ignore", "ignore", "ipc"],
          env: { START: String(spawned.children.length) },
        });
        spawned.children.push(child);
        return child;
      },
    })),
  });
  return { supervisor, ...spawned };
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !what(); i++) await sleep(20);
  assert.ok(what(), "it did not happen within 10 s");
}

test("is started when every member is ready, and tells their addresses", async () => {
  const { supervisor } = supervise([untilTerm + ready, `${untilTerm}setTimeout(() => {${ready}}, 50);`]);
  const addresses = await supervisor.start();
  assert.deepEqual(
    [...addresses],
    [
      ["member 0", { rpc: "127.0.0.1:1" }],
      ["member 1", { rpc: "127.0.0.1:1" }],
    ],
  );
  assert.equal(await supervisor.stop("SIGTERM"), 0);
});

test("fails when a member ends before it is ready, with its exit code, and stops the others", async () => {
  const { supervisor, children } = supervise([untilTerm + ready, "process.exit(2)"]);
  await assert.rejects(supervisor.start(), (thrown) => {
    assert.ok(thrown instanceof MemberFailed);
    assert.equal(thrown.message, "member 1 ended before it was ready (exit code 2)");
    assert.equal(thrown.code, 2);
    return true;
  });
  assert.ok(children.every((child) => child.exitCode !== null || child.signalCode !== null));
});

test("a member that ends with 0 before it is ready has failed all the same", async () => {
  const { supervisor } = supervise(["process.exit(0)"]);
  await assert.rejects(supervisor.start(), { name: "MemberFailed", code: 1 });
});

test("a member that crashes is started again, later each time", async () => {
  const { supervisor, children, said } = supervise([untilTerm + ready]);
  await supervisor.start();
  for (let i = 1; i <= 3; i++) {
    children.at(-1)?.kill("SIGKILL");
    await until(() => children.length === i + 1);
    await sleep(100);
  }
  assert.deepEqual(said, [
    "member 0 ended (SIGKILL); it is started again in 0.02 s",
    "member 0 ended (SIGKILL); it is started again in 0.04 s",
    "member 0 ended (SIGKILL); it is started again in 0.04 s",
  ]);
  assert.equal(await supervisor.stop("SIGTERM"), 0);
});

test("stopping while a member waits to be started again starts nothing more", async () => {
  const { supervisor, children, said } = supervise([untilTerm + ready], { backoffMs: 60 });
  await supervisor.start();
  children[0]?.kill("SIGKILL");
  await until(() => children[0]?.signalCode === "SIGKILL");
  await until(() => said.length === 1);
  assert.equal(await supervisor.stop("SIGTERM"), 0);
  await sleep(80);
  assert.equal(children.length, 1);
});

test("stopping passes the signal on and answers the worst exit code", async () => {
  const failing = `setInterval(() => {}, 1000); process.on("SIGINT", () => process.exit(7)); ${ready}`;
  const { supervisor } = supervise([failing, untilTerm.replace("SIGTERM", "SIGINT") + ready]);
  await supervisor.start();
  assert.equal(await supervisor.stop("SIGINT"), 1);
});

test("a second signal is passed on as well", async () => {
  const twice = `let n = 0; setInterval(() => {}, 1000); process.on("SIGTERM", () => { if (++n === 2) process.exit(0); }); ${ready}`;
  const { supervisor } = supervise([twice]);
  await supervisor.start();
  void supervisor.stop("SIGTERM");
  await sleep(100);
  assert.equal(await supervisor.stop("SIGTERM"), 0);
});

test("a member that does not stop in time is killed, and that is a failure", async () => {
  const deaf = `setInterval(() => {}, 1000); process.on("SIGTERM", () => {}); ${ready}`;
  const { supervisor, children } = supervise([deaf], { graceMs: 150 });
  await supervisor.start();
  assert.equal(await supervisor.stop("SIGTERM"), 1);
  assert.equal(children[0]?.signalCode, "SIGKILL");
});

test("a program that cannot be started has failed", async () => {
  const supervisor = createSupervisor({
    clock: systemClock,
    graceMs: 1000,
    say: () => {},
    members: [
      { name: "ghost", spawn: () => spawn("/no/such/program", { stdio: ["ignore", "ignore", "ignore", "ipc"] }) },
    ],
  });
  await assert.rejects(supervisor.start(), /ghost ended before it was ready \(it cannot be started: .*ENOENT/);
});
