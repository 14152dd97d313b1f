import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import type { TestContext } from "node:test";
import { error, systemClock, systemRandom } from "../../base/index.ts";
import { createMetrics } from "../../telemetry/index.ts";
import type { Upstream, UpstreamOptions } from "../../upstream/index.ts";
import { createUpstream } from "../../upstream/index.ts";

/** An outside system: a plain `node:http` server on a free port, ended with the test. */
export async function outsideSystem(t: TestContext, handle: RequestListener): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What an outside system got, told as its answer. */
export function tellAll(req: IncomingMessage, res: ServerResponse): void {
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => {
    const { method, url, headers, rawHeaders } = req;
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString("latin1") }));
  });
}

/** An upstream as apps have it, ended with the test. */
export async function realUpstream(
  t: TestContext,
  name: string,
  target: string,
  options: Partial<UpstreamOptions> = {},
): Promise<Upstream> {
  const parts = { clock: systemClock, random: systemRandom, metrics: createMetrics() };
  const upstream = createUpstream(name, { targets: [target], ...options }, parts);
  await upstream.start();
  t.after(() => upstream.close());
  return upstream;
}

/** An upstream of one target without any policy: what the gateway does is seen alone. */
export function plainUpstream(name: string, target: string): Upstream {
  const upstream: Upstream = {
    name,
    forwardTo(receiver, request) {
      upstream.forward(request).then(
        (answer) => receiver.onAnswer(answer),
        (thrown) => receiver.onFailure(thrown),
      );
    },
    forward: ({ method, path, headers, body, onCancel }) =>
      new Promise((resolve, reject) => {
        const outgoing = send(target + path, { method, headers: pairsOf(headers), agent: false });
        onCancel((reason) => outgoing.destroy(reason));
        outgoing.on("response", (answer) => {
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text)),
            body: method === "HEAD" || answer.statusCode === 204 ? undefined : answer,
            target,
            attempts: 1,
          });
        });
        outgoing.on("error", (cause) => {
          reject(error("unavailable", "The service cannot be reached.", { reason: "UPSTREAM_LOST", cause }));
        });
        if (body instanceof Readable) body.pipe(outgoing);
        else outgoing.end(body);
      }),
    upgrade(_request, socket) {
      socket.end("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    },
    update() {},
    states: () => [],
    start: async () => {},
    drain: async () => {},
    close: async () => {},
  };
  return upstream;
}

function pairsOf(headers: readonly string[]): Record<string, string[]> {
  const byName: Record<string, string[]> = {};
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    byName[name] ??= [];
    byName[name]?.push(headers[i + 1] as string);
  }
  return byName;
}
