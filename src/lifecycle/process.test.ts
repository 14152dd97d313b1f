import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

const door = JSON.stringify(new URL("./index.ts", import.meta.url).href);
const telemetry = JSON.stringify(new URL("../telemetry/index.ts", import.meta.url).href);

/** A real process with a real server on it, which has one slow page. */
const program = `
  import { createServer } from "node:http";
  import { createLifecycle, listen } from ${door};
  import { createLogger } from ${telemetry};
  const server = createServer((request, response) => {
    if (request.url === "/crash") setImmediate(() => { throw new Error("boom"); });
    setTimeout(() => response.end("done"), 400);
  });
  const lifecycle = createLifecycle({
    components: [{
      name: "http",
      async start() { process.send({ port: await listen(server, { host: "127.0.0.1", port: 0, what: "http", setting: "PORT" }) }); },
      drain: () => new Promise((resolve) => { server.close(() => resolve()); server.closeIdleConnections(); }),
    }],
    log: createLogger({ service: "child" }),
    drainDelayMs: 100,
    quietMs: 100,
  });
  lifecycle.handleSignals();
  await lifecycle.start();
  process.disconnect();
`;

const run = async () => {
  const child = spawn(
    process.execPath,
    ["--conditions=plinth:source", "--import", "tsx", "--input-type=module", "--eval", program],
    { stdio: ["ignore", "pipe", "inherit", "ipc"] },
  );
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  const exited = once(child, "exit") as Promise<[number | null, string | null]>;
  const lines = () =>
    output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).msg as string);
  return { child, exited, lines, url: `http://127.0.0.1:${port}` };
};

test("a real process answers the request in flight, then ends with 0 on SIGTERM", async () => {
  const { child, exited, lines, url } = await run();
  const answer = fetch(url);
  await new Promise((resolve) => setTimeout(resolve, 150));
  child.kill("SIGTERM");
  assert.equal(await (await answer).text(), "done");
  assert.deepEqual(await exited, [0, null]);
  assert.deepEqual(lines(), ["ready", "draining", "stopped"]);
});

test("a real process ends at once with 1 on a second signal", async () => {
  const { child, exited, lines, url } = await run();
  const answer = fetch(url).catch(() => "cut");
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill("SIGTERM");
  assert.deepEqual(await exited, [1, null]);
  assert.equal(await answer, "cut");
  assert.match(lines().at(-1) ?? "", /second signal/);
});

test("a real process that crashes still answers what is in flight, and ends with 1", async () => {
  const { exited, lines, url } = await run();
  const answer = await fetch(`${url}/crash`);
  assert.equal(await answer.text(), "done");
  assert.deepEqual(await exited, [1, null]);
  assert.ok(lines().some((line) => line.startsWith("uncaught exception")));
});
