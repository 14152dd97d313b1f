import assert from "node:assert/strict";
import { createRuntime, type RuntimeOptions } from "plinth";
import { announce } from "../child.ts";
import { definition, definitionOver } from "./definition.ts";
import { driver } from "./echo.ts";
import { type Case, cases } from "./message.ts";

/** The calling side, in the way of Plinth that the first argument names; the second and third say where the callee is. */
const [way = "", url = "", rpc = ""] = process.argv.slice(2);

const ways: Readonly<Record<string, () => readonly [typeof definition, RuntimeOptions]>> = {
  "in process": () => [definition, {}],
  RPC: () => [definition, { group: "caller", settings: { addresses: new Map([["callee", [rpc]]]) } }],
  "HTTP, by contract": () => [definitionOver(url), {}],
};

const chosenWay = ways[way]?.();
assert.ok(chosenWay, `there is no way "${way}"`);
const [app, options] = chosenWay;
const settings = { port: 0, rpcPort: 0, rpcSecret: process.env.PLINTH_RPC_SECRET ?? "", ...options.settings };
const runtime = await createRuntime(app, { ...options, management: false, settings });
await runtime.start();

let chosen = cases[0] as Case;
announce(
  {},
  {
    choose(index) {
      chosen = cases[index] as Case;
      return runtime.client(driver).prove({ bytes: chosen.bytes });
    },
    run: (seconds) => runtime.client(driver).drive({ seconds, ...chosen }, { deadline: "60s" }),
  },
);
