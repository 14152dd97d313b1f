import { startProgram } from "../program.ts";
import type { LoadOptions, LoadResult } from "./measurement.ts";

/** Runs `closed-loop.ts` as a program, so that it can have a core of its own. */
export async function runOwn({ core, ...work }: LoadOptions): Promise<LoadResult> {
  const program = await startProgram("load/closed-loop", { core, args: [JSON.stringify(work)] });
  try {
    return await program.ask<LoadResult>("run");
  } finally {
    await program.stop();
  }
}
