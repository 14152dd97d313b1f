import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { skipWithoutPostgresBinaries, startPostgres } from "./server.fixture.ts";

test("a server for tests is stopped, started, paused, copied and removed", {
  skip: skipWithoutPostgresBinaries,
  timeout: 60_000,
}, async () => {
  const primary = await startPostgres({ settings: { max_connections: "30" } });
  try {
    assert.deepEqual(
      await primary.adminQuery("select current_setting('max_connections') as n, current_setting('fsync') as f"),
      [{ n: "30", f: "on" }],
    );
    await primary.adminQuery("create table kept (id int); insert into kept values (1)");
    const replica = await startPostgres({ replicaOf: primary, settings: { recovery_min_apply_delay: "300ms" } });
    try {
      await primary.adminQuery("insert into kept values (2)");
      await replica.caughtUp();
      assert.equal((await replica.adminQuery("select 1 from kept")).length, 2);
      await assert.rejects(replica.adminQuery("insert into kept values (3)"), /read-only/);
      await primary.stop("immediate");
      assert.equal(primary.pid, undefined);
      await replica.promote();
      await replica.adminQuery("insert into kept values (3)");
    } finally {
      await replica.dispose();
    }
    await primary.start({ max_connections: "40" });
    assert.deepEqual(await primary.adminQuery("show max_connections"), [{ max_connections: "40" }]);
    assert.equal((await primary.adminQuery("select 1 from kept")).length, 2);
    await primary.pause();
    await assert.rejects(primary.adminQuery("select 1"), /timeout/);
    await primary.resume();
    assert.match((await primary.database("other")).pathname, /other/);
  } finally {
    await primary.dispose();
  }
  await primary.dispose();
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => name.startsWith(`plinth-postgres-${process.pid}-`)),
    [],
  );
  assert.ok(!existsSync(`/proc/${primary.pid}`));
});
