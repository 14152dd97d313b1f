import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../base/index.ts";
import { noServer, startRedis, until } from "./redis-server.fixture.ts";

const skip = noServer;
const script = fileURLToPath(new URL("./stampede-process.fixture.ts", import.meta.url));
const execArgv = ["--conditions=plinth:source", "--import", "tsx"];

interface Member {
  readonly child: ChildProcess;
  readonly messages: unknown[];
}

async function startMembers(count: number, args: readonly string[]): Promise<Member[]> {
  const members = Array.from({ length: count }, () => {
    const member: Member = { child: fork(script, args, { execArgv }), messages: [] };
    member.child.on("message", (message) => member.messages.push(message));
    return member;
  });
  await until(() => members.every(({ messages }) => messages.includes("ready")), 25_000);
  return members;
}

function loadsOf(members: readonly Member[]): number {
  return members.flatMap(({ messages }) => messages).filter((message) => message === "loading").length;
}

const answersOf = ({ messages }: Member) => messages.find((message) => typeof message === "number");

test("redis: a thousand clients in four processes load a cold key at most twice", { skip }, async () => {
  const server = await startRedis();
  const members = await startMembers(4, [server.url.href, "250", "200"]);
  for (const { child } of members) child.send("go");
  await until(() => members.every((member) => answersOf(member) === 250));
  assert.ok(loadsOf(members) >= 1 && loadsOf(members) <= 2, `${loadsOf(members)} loads`);
  for (const { child } of members) child.kill("SIGKILL");
  await server.kill();
});

test("redis: who waits for a process that is killed while it loads, loads a second later", { skip }, async () => {
  const server = await startRedis();
  const [first, second] = (await startMembers(2, [server.url.href, "10", "300"])) as [Member, Member];
  first.child.send("go");
  await until(() => loadsOf([first]) === 1);
  first.child.kill("SIGKILL");
  const since = systemClock.now();
  second.child.send("go");
  await until(() => answersOf(second) === 10);
  const tookMs = systemClock.now() - since;
  assert.ok(tookMs > 800 && tookMs < 5000, `${tookMs} ms`);
  assert.equal(loadsOf([second]), 1);
  second.child.kill("SIGKILL");
  await server.kill();
});
