import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createDatabase } from "../../src/database/index.ts";
import pglite from "../../src/engines/pglite/index.ts";
import type { Proof, Shown } from "../proof.ts";
import { none } from "../proof.ts";

const writer = fileURLToPath(new URL("./writer.ts", import.meta.url));
const flags = ["--conditions=plinth:source", "--import", "tsx"];

/** The embedded database, killed in the middle of its writes, over and over. */
export const embedded: Proof = {
  title: "The embedded database survives SIGKILL",
  how:
    "A process commits pairs of rows on a directory and says each number once it was acknowledged, with a checkpoint at " +
    "every fiftieth. It is killed with SIGKILL at a random moment, also while it opens the directory, and the next one goes on with the same " +
    "data. Loss of power is not shown and not promised: PGlite does not wait for the disk.",
  async run({ smoke, say }): Promise<Shown> {
    const kills = smoke ? 5 : 100;
    const directory = await mkdtemp(join(tmpdir(), "plinth-embedded-"));
    const acknowledged: number[] = [];
    let duringOpen = 0;
    try {
      for (let kill = 0; kill < kills; kill++) {
        const said = await writeAndKill(directory, kill * 1_000_000, kill % 5 === 4);
        acknowledged.push(...said);
        if (said.length === 0) duringOpen++;
        if (kill % 10 === 9) say(`${kill + 1} kills, ${acknowledged.length} acknowledged`);
      }
      const { debits, credits, durability } = await read(directory);
      const found = new Set(debits);
      const whole = new Set(credits);
      return {
        claims: [
          none("acknowledged commits that are lost", acknowledged.filter((id) => !found.has(id)).length),
          none(
            "commits that are there by half",
            debits.filter((id) => !whole.has(id)).length + credits.filter((id) => !found.has(id)).length,
          ),
          {
            claim: "the label says what is not promised",
            seen: `durability "${durability}"`,
            holds: durability === "process-crash",
          },
        ],
        facts: {
          kills,
          "before the first commit": duringOpen,
          acknowledged: acknowledged.length,
          found: debits.length,
        },
      };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

/** Runs the writer and kills it: after a random number of commits, or `early`, at a random moment of its start. */
async function writeAndKill(directory: string, first: number, early: boolean): Promise<number[]> {
  const child = spawn(process.execPath, [...flags, writer, directory, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const enough = 1 + Math.floor(Math.random() * 80);
  const timer = early ? setTimeout(() => child.kill("SIGKILL"), 300 + Math.random() * 1500) : undefined;
  const acknowledged: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(Number(line));
    if (acknowledged.length === enough) child.kill("SIGKILL");
  }
  clearTimeout(timer);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  if (child.signalCode !== "SIGKILL") throw new Error(`the writer ended by itself: ${child.exitCode}`);
  return acknowledged;
}

async function read(directory: string) {
  const driver = pglite.ports.database?.(new URL(`pglite:${encodeURI(directory)}`), {});
  if (!driver) throw new Error("the embedded engine has no database");
  await driver.open();
  try {
    const db = createDatabase({ driver, schema: "ledger" });
    const debits = await db.sql<{ id: number }>`select id from debit`;
    const credits = await db.sql<{ id: number }>`select id from credit`;
    const { durability } = driver.flags;
    return { debits: debits.map(({ id }) => id), credits: credits.map(({ id }) => id), durability };
  } finally {
    await driver.close();
  }
}
