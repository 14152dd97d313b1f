import { createRuntime } from "plinth";
import { announce } from "../child.ts";
import { definition } from "./definition.ts";

/** The other side: answers over RPC and over HTTP. */
const runtime = await createRuntime(definition, {
  group: "callee",
  management: false,
  settings: { port: 0, rpcPort: 0, rpcSecret: process.env.PLINTH_RPC_SECRET ?? "" },
});
const { gateway, rpc } = await runtime.start();

announce({ url: gateway, rpc });
