import assert from "node:assert/strict";
import { createRuntime, type RuntimeOptions } from "plinth";
import { Pool } from "undici";
import { announce } from "../child.ts";
import { definition, definitionOver } from "./definition.ts";
import { drive } from "./drive.ts";
import { driver, message } from "./echo.ts";

/** The calling side, in the way that the first argument names; the second and third say where the callee is. */
const [way = "", url = "", rpc = ""] = process.argv.slice(2);
const inFlight = 64;

const ways: Readonly<Record<string, () => Promise<(seconds: number) => Promise<unknown>>>> = {
  "in process": () => throughPlinth(definition, {}),
  RPC: () => throughPlinth(definition, { group: "caller", settings: { addresses: new Map([["callee", [rpc]]]) } }),
  "HTTP, by contract": () => throughPlinth(definitionOver(url), {}),
  "HTTP, undici": throughUndici,
};

const run = await ways[way]?.();
assert.ok(run, `there is no way "${way}"`);
announce({}, { run });

async function throughPlinth(app: typeof definition, options: RuntimeOptions) {
  const settings = { port: 0, rpcPort: 0, rpcSecret: process.env.PLINTH_RPC_SECRET ?? "", ...options.settings };
  const runtime = await createRuntime(app, { ...options, management: false, settings });
  await runtime.start();
  return (seconds: number) => runtime.client(driver).drive({ seconds, inFlight }, { deadline: "60s" });
}

/** What a program without Plinth would write: a keep-alive pool, JSON there and back. */
async function throughUndici() {
  const pool = new Pool(url, { connections: inFlight, pipelining: 1 });
  const call = async () => {
    const { statusCode, body } = await pool.request({
      path: "/exchange",
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message }),
    });
    const answer = await body.json();
    if (statusCode !== 200) throw new Error(`answered with ${statusCode}`);
    return answer;
  };
  assert.deepEqual(await call(), { message });
  return (seconds: number) => drive(call, seconds, inFlight);
}
