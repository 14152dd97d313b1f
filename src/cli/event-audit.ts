import { userInfo } from "node:os";
import type { AuditBy, AuditEntry } from "../events/index.ts";
import { createAuditLog } from "../events/index.ts";
import { openDeadLetters } from "./dead-letters.ts";
import type { EventFlags, EventWork } from "./event-work.ts";
import { table } from "./table.ts";

/** Whom the audit names: who was given, or the user whose process this is. */
export function auditBy({ as, reason }: Pick<EventFlags, "as" | "reason">): AuditBy {
  return { actor: as ?? userInfo().username, reason };
}

/** `events audit`: of every service and of the broker, newest first. */
export async function showAudit({ app, stores, flags, terminal }: EventWork): Promise<void> {
  const boxes = openDeadLetters(app, stores, flags.service);
  const found: AuditEntry[][] = await Promise.all(
    boxes.services.map(async (name) => [...(await boxes.of(name).audit())]),
  );
  // A subscription belongs to the broker, whose schema has an audit of its own.
  if (flags.service === undefined) found.push([...(await createAuditLog(stores.databaseOf("plinth_broker")).list())]);
  const entries = found.flat().sort((a, b) => (a.at < b.at ? 1 : -1));
  const { out, err } = terminal;
  if (flags.json) out.write(`${JSON.stringify(entries, null, 2)}\n`);
  else if (entries.length === 0) err.write("nothing was done to events yet\n");
  else out.write(table(["WHEN", "WHO", "WHAT", "OF", "PAYLOAD", "WHY"], entries.map(toRow), out));
}

function toRow({ at, actor, action, subscription, deadLetter, before, after, reason, detail }: AuditEntry) {
  const payload = before === after ? (before ?? "") : `${before ?? ""} -> ${after ?? "nothing"}`;
  return [at, actor, action, deadLetter ?? subscription, payload, [reason, detail].filter(Boolean).join("; ")];
}
