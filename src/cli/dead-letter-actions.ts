import type { App } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import type { EditOptions } from "../events/index.ts";
import { compile } from "../schema/index.ts";
import type { DeadLetterBoxes, ServiceDeadLetter } from "./dead-letters.ts";
import { confirm, openDeadLetters } from "./dead-letters.ts";
import { auditBy } from "./event-audit.ts";
import type { EventAction, EventFlags, EventWork } from "./event-work.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** `events dead ACTION ID…`. */
export const deadLetterActions = { list, show, replay, edit, discard } satisfies Record<string, EventAction>;

function boxesOf({ app, stores, flags }: EventWork): DeadLetterBoxes {
  return openDeadLetters(app, stores, flags.service);
}

async function list(work: EventWork) {
  const { out, err } = work.terminal;
  const letters = await boxesOf(work).list();
  if (work.flags.json) out.write(`${JSON.stringify(letters, null, 2)}\n`);
  else if (letters.length === 0) err.write("there are no dead letters\n");
  else {
    const rows = letters.map(({ id, subscription, type, error, attempts, lastFailedAt, replaying }) => [
      id,
      subscription,
      type,
      String(attempts),
      replaying ? "replaying" : lastFailedAt,
      `${error.reason}: ${error.message}`,
    ]);
    out.write(table(["ID", "SUBSCRIPTION", "EVENT", "TRIES", "LAST FAILED", "ERROR"], rows, out));
  }
}

async function show(work: EventWork) {
  if (work.names.length === 0) throw idMissing("show");
  const letters = await boxesOf(work).find(work.names);
  // One is an object; more are a list.
  work.terminal.out.write(`${JSON.stringify(letters.length === 1 ? letters[0] : letters, null, 2)}\n`);
}

async function replay(work: EventWork) {
  const { flags, terminal } = work;
  const boxes = boxesOf(work);
  const letters = await chosen("replay", boxes, work.names, flags);
  const asks = flags.all && letters.length > 0;
  if (asks && !(await confirm(`Have all ${letters.length} handled again?`, flags.yes, terminal))) {
    terminal.err.write("nothing was replayed\n");
    return;
  }
  const count = await forEachService(letters, (service, those) => boxes.of(service).replay(those, auditBy(flags)));
  tellCount(
    { replayed: count },
    `asked for the replay of ${count}; a running app takes it up at once, another one when it starts`,
    flags,
    terminal,
  );
}

async function edit(work: EventWork) {
  const { app, names, flags, terminal } = work;
  const [id, ...more] = names;
  if (id === undefined || more.length > 0) {
    throw new StartError("USAGE_WRONG", "ID: give the one dead letter to edit; plinth events dead list shows them.");
  }
  if (flags.payload === undefined) {
    throw new StartError("USAGE_WRONG", "--payload is missing: give the new payload as JSON, or - to read it.");
  }
  const boxes = boxesOf(work);
  const [letter] = await boxes.find([id]);
  if (!letter) return;
  const payload = flags.payload === "-" ? (await terminal.read()).trim() : flags.payload;
  const type = typeOf(app, letter.type);
  const count = (await boxes.of(letter.service).edit(id, payload, { by: auditBy(flags), ...(type && { type }) }))
    ? 1
    : 0;
  const checked = type ? "" : ` No service of this app announces ${letter.type}: the payload was not checked.`;
  tellCount({ edited: count }, `edited ${count}; replay has it handled.${checked}`, flags, terminal);
}

/** As the publisher knows it; undefined for an event that no service of the app announces any more. */
function typeOf(app: App, id: string): EditOptions["type"] {
  const events = app.services.flatMap(({ contract }) => Object.values(contract.events));
  const event = events.find((each) => each.id === id);
  if (!event) return undefined;
  const { key, payload } = event.options;
  return { payload: compile(payload), keyOf: (value: Readonly<Record<string, unknown>>) => String(value[key]) };
}

async function discard(work: EventWork) {
  const { flags, terminal } = work;
  const boxes = boxesOf(work);
  const letters = await chosen("discard", boxes, work.names, flags);
  if (letters.length > 0 && !(await confirm(`Give up ${letters.length} for good?`, flags.yes, terminal))) {
    terminal.err.write("nothing was discarded\n");
    return;
  }
  const count = await forEachService(letters, (service, those) => boxes.of(service).discard(those, auditBy(flags)));
  tellCount({ discarded: count }, `discarded ${count}`, flags, terminal);
}

async function chosen(
  action: string,
  boxes: DeadLetterBoxes,
  ids: readonly string[],
  { all }: EventFlags,
): Promise<readonly ServiceDeadLetter[]> {
  if (all) return boxes.list();
  if (ids.length === 0) throw idMissing(action);
  return boxes.find(ids);
}

function idMissing(action: string): StartError {
  const all = action === "show" ? "" : ", or --all";
  return new StartError(
    "USAGE_WRONG",
    `ID is missing: name the dead letters to ${action}${all}; plinth events dead list shows them.`,
  );
}

async function forEachService(
  letters: readonly ServiceDeadLetter[],
  run: (service: string, ids: readonly string[]) => Promise<number>,
): Promise<number> {
  let count = 0;
  for (const service of new Set(letters.map((letter) => letter.service))) {
    const ids = letters.filter((letter) => letter.service === service).map(({ id }) => id);
    count += await run(service, ids);
  }
  return count;
}

function tellCount(data: object, text: string, { json }: EventFlags, { out, err }: Terminal): void {
  if (json) out.write(`${JSON.stringify(data)}\n`);
  else err.write(`${text}\n`);
}
