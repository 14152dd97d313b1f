import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Member } from "./member.ts";

/**
 * One address in front of several gateways, as a Service of Kubernetes is: it hands on connections, not requests, to those
 * that said on their last probe that they are ready, in turn. It never tries anything again.
 */
export interface VirtualService {
  readonly url: string;
  /** Resolves when so many are ready. Throws after 60 s. */
  ready(count: number): Promise<void>;
  close(): Promise<void>;
}

const probeEveryMs = 100;

export async function startVirtualService(members: readonly Member[]): Promise<VirtualService> {
  const isReady = new Map<Member, boolean>();
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
  const probe = async (): Promise<void> => {
    await Promise.all(members.map(async (member) => void isReady.set(member, await answers(member))));
  };
  await probe();
  const timer = setInterval(() => void probe(), probeEveryMs);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async ready(count) {
      const endAt = performance.now() + 60_000;
      while (members.filter((member) => isReady.get(member)).length < count) {
        if (performance.now() > endAt) throw new Error(`fewer than ${count} gateways are ready after 60 s`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async close() {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
      await once(server.close(), "close");
    },
  };
}

/** Whether the process says that it may be given work. */
function answers({ ports }: Member): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port: ports.management, path: "/readyz", agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.setTimeout(1000, () => asked.destroy());
    asked.once("error", () => resolve(false));
    asked.end();
  });
}
