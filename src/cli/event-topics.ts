import { buildModel, readProcessSettings } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import { exitCodes } from "../lifecycle/index.ts";
import { loadAppOf } from "./app-model.ts";
import { withDatabase } from "./app-stores.ts";
import { deadLetterActions } from "./dead-letter-actions.ts";
import { environmentOf } from "./environment.ts";
import { showAudit } from "./event-audit.ts";
import type { EventAction, EventFlags } from "./event-work.ts";
import { prepareEventTables } from "./migrations.ts";
import { nearest } from "./nearest.ts";
import { replaySubscription, subscriptionActions } from "./subscription-actions.ts";
import type { Terminal } from "./terminal.ts";

/** By topic and action; "" is what a topic does when no action is named. */
const topics: Readonly<Record<string, Readonly<Record<string, EventAction>>>> = {
  dead: deadLetterActions,
  subscriptions: { "": subscriptionActions.list, ...subscriptionActions },
  replay: { "": replaySubscription },
  audit: { "": showAudit },
};

/** `events TOPIC [ACTION] ID…`. */
export async function runEvents(
  [topic = "", name = "", ...names]: readonly string[],
  flags: EventFlags,
  terminal: Terminal,
): Promise<ExitCode> {
  const action = actionOf(topic, name);
  const app = await loadAppOf(terminal, flags.app);
  const settings = readProcessSettings(environmentOf(terminal));
  await withDatabase(buildModel(app), settings, terminal, async (stores) => {
    // An app that never started has no tables yet. Those of its services are none of this command's business.
    if (settings.migrateAtStart) await prepareEventTables(app, stores);
    await action({ app, stores, names, flags, terminal });
  });
  return exitCodes.ok;
}

function actionOf(topic: string, name: string): EventAction {
  const actions = Object.hasOwn(topics, topic) ? topics[topic] : undefined;
  const action = actions && Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action) return action;
  const lines = Object.entries(topics).flatMap(([each, those]) =>
    Object.keys(those).map((one) => `${each} ${one}`.trim()),
  );
  const asked = `${topic} ${name}`.trim();
  const meant = nearest(asked, lines) ?? "dead list";
  throw new StartError(
    "USAGE_WRONG",
    `"events ${asked}" is nothing that can be done; there are events ${lines.join(", ")}. Did you mean plinth events ${meant}?`,
  );
}
