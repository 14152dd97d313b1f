import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { testAuthority } from "../../src/gateway/tls/tls.fixture.ts";
import type { Member } from "../member.ts";
import { createMember, freePorts } from "../member.ts";
import type { Claim, Proof, Shown } from "../proof.ts";
import { none } from "../proof.ts";
import type { AttackKind, Order, Report } from "./attack.ts";
import type { Ordinary } from "./ordinary.ts";
import { askFor } from "./ordinary.ts";

const appFile = fileURLToPath(new URL("./app.ts", import.meta.url));
const attackerFile = fileURLToPath(new URL("./attacker.ts", import.meta.url));

/** One attack, and what the gateway's documents say of it. */
interface Attack {
  readonly kind: AttackKind;
  readonly count: number;
  readonly seconds: number;
  /** When each connection must be gone at the latest; undefined where connections come and go by themselves. */
  readonly cutMs?: number;
  /** The only status that may be answered. */
  readonly status?: string;
  readonly secure?: boolean;
}

/** Looking once a second, and a second for the answer to be taken. */
const slackMs = 3000;
const mib = 1024 * 1024;

const attacks: readonly Attack[] = [
  { kind: "slow headers", count: 1000, seconds: 20, cutMs: 10_000 + slackMs, status: "408" },
  { kind: "slow body", count: 1000, seconds: 40, cutMs: 30_000 + slackMs, status: "408" },
  { kind: "slow reader", count: 200, seconds: 75, cutMs: 60_000 + slackMs + 5000 },
  { kind: "idle sockets", count: 10_000, seconds: 100, cutMs: 75_000 + slackMs + 15_000 },
  { kind: "huge headers", count: 20, seconds: 20, status: "431" },
  { kind: "smuggling", count: 10, seconds: 20 },
  { kind: "silent handshakes", count: 1000, seconds: 20, cutMs: 10_000 + slackMs, secure: true },
  { kind: "rapid reset", count: 4, seconds: 20, secure: true },
];

export const hostile: Proof = {
  title: "Hostile clients cost the others nothing",
  how:
    "A gateway with its default limits, once in plain HTTP and once with TLS and HTTP/2. Another process attacks it, one way " +
    "after the other, while a third party asks every 10 ms, each tenth time on a new connection. Its times are set against " +
    "those of a quiet gateway; the gateway's memory is read before, at most during, and after each attack.",
  async run({ smoke, say }): Promise<Shown> {
    const folder = await mkdtemp(join(tmpdir(), "plinth-proof-"));
    const authority = testAuthority();
    if (!authority) throw new Error("this proof needs the openssl command, to make a certificate");
    authority.issue("host", "DNS:localhost,IP:127.0.0.1");
    const secureSettings = { PLINTH_TLS_CERT: authority.path("host.pem"), PLINTH_TLS_KEY: authority.path("host.key") };
    const plain = await startMember(folder, {});
    const secure = await startMember(folder, secureSettings);
    const claims: Claim[] = [];
    const facts: Record<string, string | number> = {};
    try {
      for (const each of smoke ? attacks.map(shorten) : attacks) {
        const member = each.secure ? secure : plain;
        const ca = each.secure ? authority.ca : undefined;
        say(`${each.kind}: ${each.count} connections for ${each.seconds} s`);
        const seen = await underAttack(each, member, ca, smoke);
        claims.push(...claimsOf(each, seen, smoke));
        facts[each.kind] = factOf(seen);
      }
      const answer = await fetch(`http://127.0.0.1:${plain.ports.http}/hidden-count`);
      const { count } = (await answer.json()) as { count: number };
      claims.push(none("hidden requests that were run", count));
    } finally {
      await Promise.all([plain.kill(), secure.kill()]);
      authority.remove();
      await rm(folder, { recursive: true, force: true });
    }
    return { claims, facts };
  },
};

/** Long enough for what is cut first; the rest is only seen not to hurt. */
function shorten(attack: Attack): Attack {
  const { cutMs, ...rest } = attack;
  const count = Math.min(attack.count, 200);
  if (cutMs !== undefined && cutMs <= 15_000) return { ...attack, count, seconds: 15 };
  return { ...rest, count, seconds: 4 };
}

async function startMember(folder: string, environment: Readonly<Record<string, string>>): Promise<Member> {
  const [http = 0, rpc = 0, management = 0] = await freePorts(3);
  const member = createMember({
    group: "edge",
    ports: { http, rpc, management },
    appFile,
    folder,
    environment: {
      NODE_ENV: "test",
      PLINTH_RPC_SECRET: "a secret for proofs alone, and long enough",
      PLINTH_DATA: join(folder, "data"),
      PLINTH_LOG: "warn",
      PLINTH_ACCESS_LOG: "0",
      ...environment,
    },
  });
  await member.start();
  return member;
}

interface Seen {
  readonly quiet: Ordinary;
  readonly during: Ordinary;
  readonly report: Report;
  readonly before: number;
  readonly most: number;
  readonly after: number;
}

async function underAttack(attack: Attack, member: Member, ca: string | undefined, smoke: boolean): Promise<Seen> {
  const { http: port } = member.ports;
  const quiet = await askFor(smoke ? 2 : 10, port, ca);
  const before = await memoryOf(member);
  const order: Order = { ...attack, port, ...(ca !== undefined && { ca }) };
  const attacker = spawn(
    process.execPath,
    ["--conditions=plinth:source", "--import", "tsx", attackerFile, JSON.stringify(order)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let most = before;
  const watch = setInterval(() => void memoryOf(member).then((bytes) => (most = Math.max(most, bytes))), 500);
  try {
    const reporting = reportOf(attacker);
    await once(attacker.stdout as Readable, "data");
    const [report, during] = await Promise.all([reporting, askFor(attack.seconds, port, ca)]);
    // What was thrown away is collected when the process has time for it.
    await sleep(smoke ? 1000 : 5000);
    return { quiet, during, report, before, most, after: await memoryOf(member) };
  } finally {
    clearInterval(watch);
    attacker.kill("SIGKILL");
  }
}

async function reportOf(attacker: ChildProcess): Promise<Report> {
  let text = "";
  attacker.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [code] = await once(attacker, "close");
  if (code !== 0) throw new Error(`the attacker ended with ${code}: ${text}`);
  return JSON.parse(text.slice(text.indexOf("{"))) as Report;
}

async function memoryOf({ pid }: Member): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024;
}

function claimsOf({ kind, count, cutMs, status }: Attack, seen: Seen, smoke: boolean): Claim[] {
  const { quiet, during, report, before, after } = seen;
  // A short run has few samples, and the machine may have others to serve.
  const moreMs = smoke ? 5000 : 50;
  const allowedMs = quiet.p99Ms * 3 + moreMs;
  const claims: Claim[] = [
    {
      claim: `${kind}: the others are served, all of them`,
      seen: `${during.sent - during.failed} of ${during.sent}`,
      holds: during.failed === 0 && during.sent > 0,
    },
    {
      claim: `${kind}: and as soon as ever (p99 at most three times that of a quiet gateway and ${moreMs} ms)`,
      seen: `${during.p99Ms} ms, quiet ${quiet.p99Ms} ms`,
      holds: during.p99Ms <= allowedMs,
    },
    {
      claim: `${kind}: memory afterwards is what it was, within 96 MiB`,
      seen: `${Math.round(before / mib)} MiB, then ${Math.round(after / mib)} MiB`,
      holds: after - before <= 96 * mib,
    },
  ];
  if (cutMs !== undefined) {
    claims.push({
      claim: `${kind}: each connection ends within ${cutMs / 1000} s`,
      seen: `${report.cut} of ${report.opened} cut, the last after ${Math.round(report.longestMs / 100) / 10} s, ${report.open} left`,
      holds: report.opened >= count * 0.99 && report.open === 0 && report.longestMs <= cutMs,
    });
  } else {
    claims.push({
      claim: `${kind}: the attack was one`,
      seen: `${report.opened} connections`,
      holds: report.opened >= count,
    });
  }
  if (status !== undefined) {
    const others = Object.keys(report.answers).filter((each) => each !== status);
    claims.push({
      claim: `${kind}: answered with ${status} and nothing else`,
      seen: JSON.stringify(report.answers),
      holds: others.length === 0 && (cutMs === undefined || (report.answers[status] ?? 0) > 0),
    });
  }
  return claims;
}

function factOf({ during, report, most }: Seen): string {
  return (
    `${report.opened} connections, ${report.cut} ended by the gateway; answers ${JSON.stringify(report.answers)}; ` +
    `others p50 ${during.p50Ms} ms, p99 ${during.p99Ms} ms; at most ${Math.round(most / mib)} MiB`
  );
}
