import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Member } from "./member.ts";

/**
 * One address in front of several gateways, as a Service of Kubernetes is: it hands on connections, not requests, to those
 * that said on their last probe that they are ready, in turn. It never tries anything again. One that says that it is not
 * ready, or refuses the probe, is left out at once; one that is late, after the third time, as with the probes there.
 */
export interface VirtualService {
  readonly url: string;
  /** Resolves when so many are ready. Throws after 60 s. */
  ready(count: number): Promise<void>;
  close(): Promise<void>;
}

const probeEveryMs = 100;
const lateMax = 3;

export async function startVirtualService(members: readonly Member[]): Promise<VirtualService> {
  const isReady = new Map<Member, boolean>();
  const lateCounts = new Map<Member, number>();
  const sockets = new Set<Socket>();
  let next = 0;
  const server = createServer((client) => {
    const ready = members.filter((member) => isReady.get(member));
    const member = ready[next++ % Math.max(1, ready.length)];
    if (!member) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(member.ports.http, "127.0.0.1");
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.pipe(to);
      from.once("error", () => to.destroy());
      from.once("close", () => {
        sockets.delete(from);
        if (!to.destroyed) to.destroySoon();
      });
    }
  });
  const probe = async (member: Member): Promise<void> => {
    const said = await ask(member);
    const lateCount = said === "late" ? (lateCounts.get(member) ?? 0) + 1 : 0;
    lateCounts.set(member, lateCount);
    if (said !== "late" || lateCount >= lateMax) isReady.set(member, said === "ready");
  };
  let isClosed = false;
  const watch = async (member: Member): Promise<void> => {
    while (!isClosed) {
      await sleep(probeEveryMs);
      await probe(member);
    }
  };
  await Promise.all(members.map(probe));
  for (const member of members) void watch(member);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async ready(count) {
      const endAt = performance.now() + 60_000;
      while (members.filter((member) => isReady.get(member)).length < count) {
        if (performance.now() > endAt) throw new Error(`fewer than ${count} gateways are ready after 60 s`);
        await sleep(20);
      }
    },
    async close() {
      isClosed = true;
      for (const socket of sockets) socket.destroy();
      await once(server.close(), "close");
    },
  };
}

/** What the process says of being given work. */
function ask({ ports }: Member): Promise<"ready" | "not ready" | "late"> {
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port: ports.management, path: "/readyz", agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200 ? "ready" : "not ready");
    });
    asked.setTimeout(1000, () => {
      resolve("late");
      asked.destroy();
    });
    asked.once("error", () => resolve("not ready"));
    asked.end();
  });
}
