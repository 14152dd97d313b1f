import { buildModel, readProcessSettings } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import { exitCodes } from "../lifecycle/index.ts";
import { loadAppOf } from "./app-model.ts";
import { withDatabase } from "./app-stores.ts";
import type { DeadLetterBoxes, ServiceDeadLetter } from "./dead-letters.ts";
import { confirm, openDeadLetters } from "./dead-letters.ts";
import { environmentOf } from "./environment.ts";
import { applyMigrations } from "./migrations.ts";
import { nearest } from "./nearest.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export interface DeadLetterFlags {
  readonly app: string | undefined;
  readonly service: string | undefined;
  readonly all: boolean;
  readonly yes: boolean;
  readonly json: boolean;
}

type Action = (
  boxes: DeadLetterBoxes,
  ids: readonly string[],
  flags: DeadLetterFlags,
  terminal: Terminal,
) => Promise<void>;

const actions: Readonly<Record<string, Action>> = { list, show, replay, discard };

/** `events dead ACTION ID…`. */
export async function runDeadLetters(
  [topic = "", name = "", ...ids]: readonly string[],
  flags: DeadLetterFlags,
  terminal: Terminal,
): Promise<ExitCode> {
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (topic !== "dead" || !action) {
    const meant = topic === "dead" ? (nearest(name, Object.keys(actions)) ?? "list") : "list";
    throw new StartError(
      "USAGE_WRONG",
      `"events ${topic} ${name}" is nothing that can be done; there are events dead ${Object.keys(actions).join(", ")}. Did you mean plinth events dead ${meant}?`,
    );
  }
  const app = await loadAppOf(terminal, flags.app);
  const settings = readProcessSettings(environmentOf(terminal));
  await withDatabase(buildModel(app), settings, terminal, async (stores) => {
    // An app that never started has no tables yet.
    if (settings.migrateAtStart) await applyMigrations(app, stores);
    await action(openDeadLetters(app, stores, flags.service), ids, flags, terminal);
  });
  return exitCodes.ok;
}

async function list(
  boxes: DeadLetterBoxes,
  _ids: readonly string[],
  { json }: DeadLetterFlags,
  { out, err }: Terminal,
) {
  const letters = await boxes.list();
  if (json) out.write(`${JSON.stringify(letters, null, 2)}\n`);
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

async function show(boxes: DeadLetterBoxes, ids: readonly string[], _flags: DeadLetterFlags, { out }: Terminal) {
  if (ids.length === 0) throw idMissing("show");
  const letters = await boxes.find(ids);
  // One is an object; more are a list.
  out.write(`${JSON.stringify(letters.length === 1 ? letters[0] : letters, null, 2)}\n`);
}

async function replay(boxes: DeadLetterBoxes, ids: readonly string[], flags: DeadLetterFlags, terminal: Terminal) {
  const letters = await chosen("replay", boxes, ids, flags);
  const count = await forEachService(letters, (service, those) => boxes.of(service).replay(those));
  tellCount(
    { replayed: count },
    `asked for the replay of ${count}; a running app takes it up at once, another one when it starts`,
    flags,
    terminal,
  );
}

async function discard(boxes: DeadLetterBoxes, ids: readonly string[], flags: DeadLetterFlags, terminal: Terminal) {
  const letters = await chosen("discard", boxes, ids, flags);
  if (letters.length > 0 && !(await confirm(`Give up ${letters.length} for good?`, flags.yes, terminal))) {
    terminal.err.write("nothing was discarded\n");
    return;
  }
  const count = await forEachService(letters, (service, those) => boxes.of(service).discard(those));
  tellCount({ discarded: count }, `discarded ${count}`, flags, terminal);
}

async function chosen(
  action: string,
  boxes: DeadLetterBoxes,
  ids: readonly string[],
  { all }: DeadLetterFlags,
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

function tellCount(data: object, text: string, { json }: DeadLetterFlags, { out, err }: Terminal): void {
  if (json) out.write(`${JSON.stringify(data)}\n`);
  else err.write(`${text}\n`);
}
