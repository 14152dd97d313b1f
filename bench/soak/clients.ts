import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { announce } from "../child.ts";
import { leave, sendSlowly } from "./rude.ts";
import { loadAt, nightOf } from "./week.ts";

/** A week of clients, compressed: `URL SECONDS RATE`. Most behave; some are slow, wrong, forged, or gone in the middle. */
const [url = "", secondsText = "", rateText = ""] = process.argv.slice(2);
const seconds = Number(secondsText);
const rate = Number(rateText);

interface Operation {
  readonly name: string;
  readonly weight: number;
  readonly expected: number;
  run(): Promise<number>;
}

let agent = new Agent({ keepAlive: true, maxSockets: 64 });
let token = "";
let next = 0;
const json = { "content-type": "application/json", origin: "https://shop.example" };
const counts: Record<string, number> = {};
const unexpected: Record<string, number> = {};

const order = (note: string, quantity = 2) => JSON.stringify({ item: `thing-${next++ % 500}`, quantity, note });
const bearer = () => ({ ...json, authorization: `Bearer ${token}` });

const operations: readonly Operation[] = [
  { name: "look", weight: 50, expected: 200, run: () => ask("GET", `/items/thing-${dice(20_000)}`) },
  { name: "order", weight: 15, expected: 200, run: () => ask("POST", "/orders", bearer(), order("soon, please")) },
  { name: "sign in", weight: 5, expected: 200, run: signIn },
  {
    name: "large body",
    weight: 2,
    expected: 200,
    run: () => ask("POST", "/orders", bearer(), order("x".repeat(65_536))),
  },
  { name: "wait", weight: 2, expected: 200, run: () => ask("GET", "/slow") },
  { name: "not there", weight: 4, expected: 404, run: () => ask("GET", `/items/no-${dice(20_000)}`) },
  { name: "no route", weight: 2, expected: 404, run: () => ask("GET", `/nowhere/${dice(20_000)}`) },
  { name: "wrong body", weight: 3, expected: 422, run: () => ask("POST", "/orders", bearer(), order("", 0)) },
  { name: "no JSON", weight: 2, expected: 400, run: () => ask("POST", "/orders", bearer(), "{") },
  { name: "broken", weight: 1, expected: 500, run: () => ask("GET", "/broken") },
];
const forgery: Operation = {
  name: "forged",
  weight: 0,
  expected: 401,
  run: () => ask("POST", "/orders", forged(), order("")),
};
const weights = operations.reduce((sum, { weight }) => sum + weight, 0);

let result: Week | undefined;

announce(
  {},
  {
    begin() {
      void runWeek().then((week) => {
        result = week;
      });
    },
    result: () => result,
  },
);

/** What was done, and what was answered otherwise than it should have been. */
export interface Week {
  readonly counts: Readonly<Record<string, number>>;
  readonly unexpected: Readonly<Record<string, number>>;
}

async function runWeek(): Promise<Week> {
  await signIn();
  const startedAt = performance.now();
  let night = 0;
  let due = 0;
  let rudeAt = 0;
  let forgedAt = 0;
  const running = new Set<Promise<void>>();
  for (;;) {
    const second = (performance.now() - startedAt) / 1000;
    if (second >= seconds) break;
    due += rate * loadAt(second, seconds) * 0.01;
    for (; due >= 1; due--) {
      // A client that has waited for long asks for nothing more: it is memory that is looked at, not what is refused.
      if (running.size > 500) continue;
      const work = perform(draw()).finally(() => running.delete(work));
      running.add(work);
    }
    if (second >= rudeAt) {
      rudeAt = second + 0.5;
      note("slow clients", sendSlowly(url));
      note("clients that left", leave(url));
    }
    // More than a few from one address, and the gateway lets nobody in from there for a while.
    if (second >= forgedAt) {
      forgedAt = second + 20;
      void perform(forgery);
    }
    if (nightOf(second, seconds) !== night) {
      night = nightOf(second, seconds);
      agent.destroy();
      agent = new Agent({ keepAlive: true, maxSockets: 64 });
      count(counts, "clients started anew");
    }
    await sleep(10);
  }
  await Promise.all(running);
  agent.destroy();
  return { counts, unexpected };
}

async function perform({ name, expected, run }: Operation): Promise<void> {
  const by = agent;
  const status = await run().catch(() => 0);
  count(counts, name);
  // A request that its own client has cut off has no answer.
  if (status === expected || (status === 0 && by !== agent)) return;
  // A process that gets too little of a busy machine says so, or is too late: that is no error.
  if (status === 503 || status === 504) count(counts, "refused, or too late");
  else count(unexpected, `${name}: ${status}`);
}

function draw(): Operation {
  let at = Math.random() * weights;
  for (const operation of operations) {
    at -= operation.weight;
    if (at < 0) return operation;
  }
  return operations[0] as Operation;
}

function note(name: string, work: Promise<void>): void {
  count(counts, name);
  work.catch(() => count(unexpected, name));
}

function count(into: Record<string, number>, name: string): void {
  into[name] = (into[name] ?? 0) + 1;
}

function dice(sides: number): number {
  return Math.floor(Math.random() * sides);
}

function forged() {
  const at = 40 + dice(token.length - 80);
  return {
    ...json,
    authorization: `Bearer ${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`,
  };
}

async function signIn(): Promise<number> {
  const { status, text } = await exchange("POST", "/sign-in", json, JSON.stringify({ name: `user-${dice(5_000)}` }));
  if (status === 200) token = (JSON.parse(text) as { token: string }).token;
  return status;
}

async function ask(
  method: string,
  path: string,
  headers: Record<string, string> = json,
  body?: string,
): Promise<number> {
  return (await exchange(method, path, headers, body)).status;
}

function exchange(method: string, path: string, headers: Record<string, string>, body?: string) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request(url + path, { method, headers, agent }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      answer.on("error", reject);
    });
    // The server may have given up the connection just then: every client asks again on another.
    sent.on("error", (thrown) => {
      if (sent.reusedSocket) resolve(exchange(method, path, headers, body));
      else reject(thrown);
    });
    sent.end(body);
  });
}
