import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** The warehouse's HTTP service, as it was before: plain `node:http`, in a process of somebody else's. */
export async function startWarehouse() {
  const shelves = new Map([["9780141439518", "C-17"]]);
  const received: { url: string; headers: IncomingMessage["headers"] }[] = [];
  let restarting = 0;

  const server = createServer((req, res) => {
    const { url = "", headers } = req;
    received.push({ url, headers });
    if (headers["x-warehouse-key"] !== "forklift") return problem(res, 403, "This is not the key.");
    if (restarting > 0) {
      restarting--;
      return problem(res, 503, "Back in a moment.", { "retry-after": "0" });
    }
    const isbn = url.split("/")[2] ?? "";
    if (url.startsWith("/shelves/")) {
      const shelf = shelves.get(isbn);
      // A shelf that is a number: nobody has noticed yet.
      if (isbn === "9780000000000") return answer(res, { isbn, shelf: 17 });
      return shelf ? answer(res, { isbn, shelf }) : problem(res, 404, `No shelf has ${isbn}.`);
    }
    if (url === "/movements") return stream(res, ["in", "in", "out"]);
    // Anything else is an inventory. It ends when everybody has gone home.
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** What it has been asked. */
    received,
    /** The next requests find it busy. */
    restart(requests: number) {
      restarting = requests;
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(res: ServerResponse, value: unknown): void {
  res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function problem(res: ServerResponse, status: number, detail: string, headers: Record<string, string> = {}): void {
  res.writeHead(status, { "content-type": "application/problem+json", ...headers }).end(JSON.stringify({ detail }));
}

/** One JSON value to a line (NDJSON). */
function stream(res: ServerResponse, directions: readonly string[]): void {
  res.writeHead(200, { "content-type": "application/x-ndjson" });
  for (const [at, direction] of directions.entries()) res.write(`${JSON.stringify({ at, direction })}\n`);
  res.end();
}
