import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A deployment of an outside system: a plain server that says its name, after a few milliseconds. */
export interface Deployment {
  readonly url: string;
  readonly count: () => number;
  stop(): Promise<void>;
}

const answerMs = 3;

export async function startDeployment(name: string): Promise<Deployment> {
  let count = 0;
  const server: Server = createServer((req, res) => {
    count++;
    req.resume();
    setTimeout(() => {
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify({ name }));
    }, answerMs);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => count,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
