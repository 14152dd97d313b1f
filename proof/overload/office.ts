import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onCore } from "../../bench/program.ts";
import { root } from "../../scripts/source/tree.ts";
import { freePorts } from "../member.ts";

/** The process under load, on a core of its own where there are two. */
export interface Office {
  readonly url: string;
  stop(): Promise<void>;
}

const appFile = `${root}proof/overload/app.ts`;

export async function startOffice(guard: "on" | "off"): Promise<Office> {
  const folder = await mkdtemp(join(tmpdir(), "plinth-overload-"));
  const [http = 0, rpc = 0, management = 0] = await freePorts(3);
  const [file, args] = onCore(0, [
    process.execPath,
    `${root}bin/plinth.js`,
    "start",
    "--app",
    appFile,
    "--group",
    "office",
  ]);
  const child = spawn(file, args, {
    cwd: folder,
    env: {
      ...process.env,
      NODE_ENV: "test",
      PLINTH_LOG: "silent",
      PLINTH_DATA: join(folder, "data"),
      PLINTH_RPC_SECRET: "a secret for proofs alone, and long enough",
      PORT: String(http),
      PLINTH_RPC_PORT: String(rpc),
      PLINTH_MANAGEMENT_PORT: String(management),
      OFFICE_GUARD: guard,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-16_384);
    });
  }
  const endAt = performance.now() + 60_000;
  while (!/ready \S+ in/.test(output)) {
    if (child.exitCode !== null || performance.now() > endAt) throw new Error(`the office did not open:\n${output}`);
    await sleep(20);
  }
  return {
    url: `http://127.0.0.1:${http}`,
    async stop() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
