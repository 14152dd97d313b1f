import { setTimeout as sleep } from "node:timers/promises";
import postgres from "../../src/engines/postgres/index.ts";
import { begin, endOf, judge } from "../../src/events/fixtures/schedule-fleet.ts";
import { openStage } from "../../src/events/fixtures/stage.ts";

/**
 * Two processes with the room's scheduler without epoch and without the tick's row, which nothing of an app can reach. The
 * leader is stopped in a tick until the other has run it. Answers how many ticks took effect twice.
 */
export async function ticksTwiceWithoutFence(url: URL): Promise<number> {
  const stage = await openStage(postgres.ports.database?.(url));
  const database = await stage.service();
  const { schema } = database;
  const times = { everyMs: 1_000, ticks: 1_000, ttlMs: 900, renewMs: 50, holdMs: 400 };
  const options = { url: url.href, schema, ...times, fenced: false, atomic: false };
  const children = [begin(options), begin(options)];
  try {
    for (const endAt = performance.now() + 30_000; performance.now() < endAt; await sleep(20)) {
      const [row] = await database.sql<{ owner: string; isOpen: boolean }>`
        select owner, exists (select 1 from plinth_ticks where state = 'open') as "isOpen"
        from plinth_leases where name = 'schedules'`.catch(() => []);
      const leader = children.find(({ pid }) => pid === Number(row?.owner.split("#")[0]));
      if (!row?.isOpen || !leader) continue;
      leader.kill("SIGSTOP");
      await sleep(times.ttlMs + times.everyMs + times.holdMs);
      leader.kill("SIGCONT");
      await sleep(times.holdMs * 2);
      const { twice } = await judge(database);
      if (twice > 0) return twice;
    }
    return 0;
  } finally {
    for (const child of children) {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await endOf(child);
    }
    await stage.close();
  }
}
