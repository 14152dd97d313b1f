import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { createDatabase } from "../../database/index.ts";
import { createPgliteDriver } from "./database.ts";

const kills = 3;
const commitsBetween = 40;

/** Commits pairs of rows, and says each number on a line of its own once its commit was acknowledged. */
const writer = (directory: string, from: number): string => `
  import { writeSync } from "node:fs";
  import { createDatabase } from ${JSON.stringify(new URL("../../database/index.ts", import.meta.url).href)};
  import { createPgliteDriver } from ${JSON.stringify(new URL("./database.ts", import.meta.url).href)};
  const driver = createPgliteDriver({ directory: ${JSON.stringify(directory)} });
  await driver.open();
  const db = createDatabase({ driver, schema: "ledger" });
  await db.session((session) => session.script(
    "create schema if not exists ledger; create table if not exists debit (id int primary key, filler text);" +
    "create table if not exists credit (id int primary key)"));
  for (let id = ${from}; ; id++) {
    await db.transaction(async (tx) => {
      await tx.sql\`insert into debit values (\${id}, repeat('x', 2000))\`;
      await tx.sql\`insert into credit values (\${id})\`;
    });
    writeSync(1, id + "\\n");
  }
`;

/** Runs the writer until it acknowledged enough, kills it in the middle of its work, and tells what it acknowledged. */
async function writeAndKill(directory: string, from: number): Promise<number[]> {
  const program = writer(directory, from);
  const options = ["--conditions=plinth:source", "--import", "tsx", "--input-type=module", "-e", program];
  const child = spawn(process.execPath, options, { stdio: ["ignore", "pipe", "inherit"] });
  const acknowledged: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(Number(line));
    // The kill comes while later commits run: what was said until then is what counts.
    if (acknowledged.length === commitsBetween) child.kill("SIGKILL");
  }
  return acknowledged;
}

test("what was acknowledged survives SIGKILL, whole, and the dead process's lock is taken over", async () => {
  const directory = mkdtempSync(join(tmpdir(), "plinth-durability-"));
  const acknowledged: number[] = [];
  try {
    for (let round = 0; round < kills; round++) {
      acknowledged.push(...(await writeAndKill(directory, round * 1_000_000)));
      assert.ok(acknowledged.length >= (round + 1) * commitsBetween, "the writer wrote");
      const driver = createPgliteDriver({ directory });
      await driver.open();
      const db = createDatabase({ driver, schema: "ledger" });
      const debits = await db.sql<{ id: number }>`select id from debit order by id`;
      const credits = await db.sql<{ id: number }>`select id from credit order by id`;
      await driver.close();
      const found = new Set(debits.map(({ id }) => id));
      assert.deepEqual(
        acknowledged.filter((id) => !found.has(id)),
        [],
        "no acknowledged commit is lost",
      );
      assert.deepEqual(debits, credits, "no commit is there by half");
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
