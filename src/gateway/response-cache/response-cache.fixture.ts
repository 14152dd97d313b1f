import type { IncomingMessage, ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { createManualClock } from "../../base/index.ts";
import { outsideSystem, plainUpstream } from "../proxy/proxy.fixture.ts";
import { ask, request, testGateway } from "../testing.ts";
import type { EdgeCacheOptions } from "./response-cache.ts";

export type Headers = Readonly<Record<string, string>>;

/** A gateway that keeps answers, and an outside system that counts what it is asked. */
export async function keeping(
  t: TestContext,
  answer: Headers | ((req: IncomingMessage, res: ServerResponse, count: number) => void),
  cache: EdgeCacheOptions = {},
) {
  const asked: IncomingMessage[] = [];
  const target = await outsideSystem(t, (req, res) => {
    asked.push(req);
    if (typeof answer === "function") answer(req, res, asked.length);
    else {
      res.writeHead(200, answer);
      res.end(`answer ${asked.length}`);
    }
  });
  const clock = createManualClock();
  const routes = [{ path: "/*", upstream: "legacy", access: "public" as const, cache }];
  const upstreams = new Map([["legacy", plainUpstream("legacy", target)]]);
  const gateway = testGateway({}, { outside: { upstreams, routes }, clock });
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  const get = (path = "/a", headers: Headers = {}) => ask(port, request(`GET ${path}`, headers));
  return { asked, clock, port, get, gateway };
}
