/**
 * Commits pairs of rows into an embedded database, as fast as it goes, and says the number of each on a line of its own
 * once its commit was acknowledged. Runs until it is killed. Arguments: directory, first number.
 */
import { writeSync } from "node:fs";
import { createDatabase } from "../../src/database/index.ts";
import pglite from "../../src/engines/pglite/index.ts";

const [directory = "", first = "0"] = process.argv.slice(2);
const driver = pglite.ports.database?.(new URL(`pglite:${encodeURI(directory)}`), {});
if (!driver) throw new Error("the embedded engine has no database");
await driver.open();
const db = createDatabase({ driver, schema: "ledger" });
await db.session((session) =>
  session.script(
    "create schema if not exists ledger; create table if not exists debit (id int primary key, filler text);" +
      "create table if not exists credit (id int primary key)",
  ),
);
for (let id = Number(first); ; id++) {
  await db.transaction(async (tx) => {
    await tx.sql`insert into debit values (${id}, repeat('x', 2000))`;
    await tx.sql`insert into credit values (${id})`;
  });
  writeSync(1, `${id}\n`);
  // A checkpoint moves pages and log at once: the worst moment to die.
  if (id % 50 === 49) await db.sql`checkpoint`;
}
