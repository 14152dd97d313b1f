import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { announce } from "../../bench/child.ts";

/** Three servers that answer after about 8 ms; the last of them can be told to fall ill. */
export const modes = ["well", "slow", "failing", "gray"] as const;
export type Mode = (typeof modes)[number];

const usualMs = 8;
const sickPlace = 2;

let mode: Mode = "well";
const counts = [0, 0, 0];

const servers = await Promise.all(
  counts.map(async (_, place) => {
    const server = createServer((req, res) => answer(place, req, res));
    server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return server;
  }),
);

function answer(place: number, req: IncomingMessage, res: ServerResponse): void {
  const isCheck = req.url === "/up";
  const now = place === sickPlace ? mode : "well";
  const count = counts[place] ?? 0;
  if (!isCheck) counts[place] = count + 1;
  req.resume();
  if (now === "gray" && !isCheck) res.writeHead(500, { "content-length": "0" }).end();
  else if (now === "failing" && count % 2 === 0) res.writeHead(500, { "content-length": "0" }).end();
  else if (now === "failing") req.socket.resetAndDestroy();
  else {
    // Most are quick, a few take several times as long: so it is with servers.
    const ms = -Math.log(1 - Math.random()) * usualMs * (now === "slow" ? 10 : 1);
    setTimeout(() => res.end("done"), ms);
  }
}

announce(
  servers.map((server) => (server.address() as AddressInfo).port),
  {
    mode(input) {
      mode = modes[input] ?? "well";
    },
    counts: () => [...counts],
  },
);
