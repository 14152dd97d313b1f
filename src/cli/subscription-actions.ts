import type { App, Stores } from "../app/index.ts";
import { subscriptionsOf } from "../app/index.ts";
import { StartError, systemClock, systemRandom } from "../base/index.ts";
import type { AuditAction, Broker, ReplayRequest, SubscribedType } from "../events/index.ts";
import { createAuditLog, createDatabaseBroker } from "../events/index.ts";
import { confirm } from "./dead-letters.ts";
import { auditBy } from "./event-audit.ts";
import type { EventWork } from "./event-work.ts";
import { nearest } from "./nearest.ts";
import { table } from "./table.ts";

/** `events subscriptions` and `events replay`: what waits at the broker, and what is delivered again. */
export const subscriptionActions = { list, retire };

async function list({ app, stores, flags, terminal }: EventWork): Promise<void> {
  const declared = declaredBy(app);
  const found = (await brokerOf(stores).stats()).map((stats) => {
    const types = declared.get(stats.subscription);
    return { ...stats, retired: !types, staleTypes: types ? stats.types.filter(({ type }) => !types.has(type)) : [] };
  });
  const { out, err } = terminal;
  if (flags.json) out.write(`${JSON.stringify(found, null, 2)}\n`);
  else if (found.length === 0) err.write("there are no subscriptions; the app makes them when it starts\n");
  else {
    const rows = found.map(({ subscription, pendingCount, oldestAgeMs, parkedCount, retired, staleTypes }) => [
      subscription,
      String(pendingCount),
      pendingCount === 0 ? "" : `${Math.round(oldestAgeMs / 1000)} s`,
      String(parkedCount),
      retired
        ? `no service has it: plinth events subscriptions retire ${subscription}`
        : staleText(subscription, staleTypes),
    ]);
    out.write(table(["SUBSCRIPTION", "WAITING", "OLDEST", "PARKED KEYS", ""], rows, out));
  }
}

/** Each version adds what it listens to, and takes nothing from one that may run beside it. */
function staleText(subscription: string, stale: readonly SubscribedType[]): string {
  if (stale.length === 0) return "";
  const types = stale.map(({ type }) => type).join(",");
  const last = stale
    .map(({ ensuredAt }) => ensuredAt)
    .sort()
    .at(-1);
  return `listens no more to ${types}, last asked for ${last}: plinth events subscriptions retire ${subscription} --type ${types}`;
}

async function retire({ app, stores, names, flags, terminal }: EventWork): Promise<void> {
  const [name, ...more] = names;
  if (name === undefined || more.length > 0) {
    throw new StartError(
      "USAGE_WRONG",
      "NAME: give the one subscription to retire; plinth events subscriptions shows them.",
    );
  }
  const types = flags.type?.split(",").map((type) => type.trim());
  refuseDeclared(app, name, types);
  const broker = brokerOf(stores);
  const stats = await requireSubscription(broker, name);
  const strange = types?.find((type) => !stats.types.some((each) => each.type === type));
  if (strange !== undefined) {
    const known = stats.types.map(({ type }) => type);
    throw new StartError(
      "SUBSCRIPTION_ABSENT",
      `--type ${strange}: ${name} gets no such event; it gets ${nearest(strange, known) ?? known.join(", ")}.`,
    );
  }
  const question = types
    ? `End ${types.join(", ")} for ${name}, with those events that it has not seen?`
    : `Forget ${name}, with ${stats.pendingCount} events that it has not seen?`;
  if (!(await confirm(question, flags.yes, terminal))) {
    terminal.err.write("nothing was retired\n");
    return;
  }
  const detail = { pendingCount: stats.pendingCount, ...(types && { types }) };
  await writeAudit({ stores, flags }, "subscription retired", name, detail);
  let deleted = 0;
  for (let step = await broker.retire?.(name, types); step; step = await broker.retire?.(name, types)) deleted += step;
  if (flags.json) terminal.out.write(`${JSON.stringify({ retired: name, ...(types && { types }), deleted })}\n`);
  else {
    const what = types ? `${types.join(", ")} of ${name}` : name;
    terminal.err.write(`retired ${what}; ${deleted} events were never delivered to it\n`);
  }
}

/** What the app declares would be there again at its next start. */
function refuseDeclared(app: App, name: string, types: readonly string[] | undefined): void {
  const declared = declaredBy(app).get(name);
  if (!declared) return;
  if (!types) {
    throw new StartError(
      "SUBSCRIPTION_IN_USE",
      `NAME: "${name}" belongs to a service of this app, and would be there again at its next start; take it out of the service first.`,
    );
  }
  const used = types.find((type) => declared.has(type));
  if (used === undefined) return;
  throw new StartError(
    "SUBSCRIPTION_IN_USE",
    `--type ${used}: "${name}" listens to it in this app, and would again at its next start; take it out of the service first.`,
  );
}

/** `events replay`. Broken off, the same command line goes on where it was. */
export async function replaySubscription({ app, stores, flags, terminal }: EventWork): Promise<void> {
  const { subscription, from, to, type, again } = flags;
  if (subscription === undefined || from === undefined) {
    throw new StartError("USAGE_WRONG", [
      ...(subscription === undefined
        ? ["--subscription is missing: name one, as plinth events subscriptions shows it."]
        : []),
      ...(from === undefined ? ["--from is missing: give a time, such as 2026-01-31T08:00:00Z."] : []),
    ]);
  }
  const broker = brokerOf(stores);
  await requireSubscription(broker, subscription);
  const types = type?.split(",").map((each) => requireEvent(app, each.trim()));
  const request: ReplayRequest = {
    subscription,
    from,
    again,
    ...(to !== undefined && { to }),
    ...(types && { types }),
  };
  const { out, err } = terminal;
  if (flags.plan) {
    const plan = await broker.planReplay?.(request);
    if (flags.json) out.write(`${JSON.stringify(plan ?? null)}\n`);
    else {
      const kept = plan?.keptSince === undefined ? "no messages are kept" : `messages are kept since ${plan.keptSince}`;
      err.write(
        `would deliver ${(plan?.messageCount ?? 0) - (plan?.pendingCount ?? 0)}; ${plan?.pendingCount ?? 0} wait anyway; ${kept}\n`,
      );
    }
    return;
  }
  const question = `Run again what ${subscription} has handled since ${from}?`;
  if (again && !(await confirm(question, flags.yes, terminal))) {
    err.write("nothing was replayed\n");
    return;
  }
  await writeAudit({ stores, flags }, "subscription replayed", subscription, request);
  for (;;) {
    const progress = await broker.replay?.(request);
    if (progress && !progress.done) {
      err.write(`${progress.resumed ? "went on: " : ""}${progress.deliveredCount} so far\n`);
      continue;
    }
    const replayed = progress?.deliveredCount ?? 0;
    if (flags.json) out.write(`${JSON.stringify({ replayed })}\n`);
    else err.write(`${replayed} will be delivered again; what was handled ${again ? "runs again" : "is let go"}\n`);
    return;
  }
}

/** Never opened: the app's own processes deliver. */
function brokerOf(stores: Stores): Broker {
  return createDatabaseBroker({
    database: stores.databaseOf("plinth_broker"),
    clock: systemClock,
    random: systemRandom,
  });
}

async function writeAudit(
  { stores, flags }: Pick<EventWork, "stores" | "flags">,
  action: AuditAction,
  subscription: string,
  detail: object,
): Promise<void> {
  const database = stores.databaseOf("plinth_broker");
  const entry = { action, subscription, detail: JSON.stringify(detail) };
  await createAuditLog(database).write(database, auditBy(flags), [entry]);
}

/** The subscriptions of the app, the platform's own included, and what each listens to. */
function declaredBy(app: App): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(subscriptionsOf(app).map(({ subscription, types }) => [subscription, new Set(types)]));
}

async function requireSubscription(broker: Broker, name: string) {
  const all = await broker.stats();
  const found = all.find(({ subscription }) => subscription === name);
  if (found) return found;
  const known = all.map(({ subscription }) => subscription);
  throw new StartError(
    "SUBSCRIPTION_ABSENT",
    `the broker knows no subscription "${name}"; there is ${nearest(name, known) ?? (known.join(", ") || "none")}.`,
  );
}

function requireEvent(app: App, id: string): string {
  const ids: string[] = app.services.flatMap(({ contract }) => Object.values(contract.events).map((event) => event.id));
  if (ids.includes(id)) return id;
  throw new StartError(
    "EVENT_UNKNOWN",
    `--type ${id}: there is no such event; there is ${nearest(id, ids) ?? ids.join(", ")}.`,
  );
}
