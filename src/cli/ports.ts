import type { AddressInfo } from "node:net";
import { createServer } from "node:net";

/** Ports of this machine that are free now. Another program may take one before it is used. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen("127.0.0.1", 0)));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(close));
  return ports;
}

/** Why this port cannot be listened on, as the system names it ("EADDRINUSE"); undefined when it can. */
export async function refusalOfPort(host: string, port: number): Promise<string | undefined> {
  try {
    await close(await listen(host, port));
    return undefined;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? String(thrown);
  }
}

function listen(host: string, port: number) {
  return new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen({ host, port }, () => resolve(server));
  });
}

function close(server: ReturnType<typeof createServer>): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
