import type { App, Stores } from "../app/index.ts";
import { subscriptionsOf } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import type { DeadLetterSummary, DeadLetters } from "../events/index.ts";
import { deadLetters } from "../events/index.ts";
import { nearest } from "./nearest.ts";
import type { Terminal } from "./terminal.ts";

/** The dead letters of an app, service by service: each keeps its own, in its own schema. */
export interface DeadLetterBoxes {
  list(): Promise<readonly ServiceDeadLetter[]>;
  /** Every one that is there; a StartError names those that are not. */
  find(ids: readonly string[]): Promise<readonly ServiceDeadLetter[]>;
  of(service: string): DeadLetters;
  readonly services: readonly string[];
}

export interface ServiceDeadLetter extends DeadLetterSummary {
  readonly service: string;
}

/** Longest list that is shown or worked on at once. */
export const lettersMax = 10_000;

/** Those of one service, or of all that subscribe to something. The database is open, and its tables are there. */
export function openDeadLetters(app: App, stores: Stores, service: string | undefined): DeadLetterBoxes {
  // The platform's own subscriptions give up on events too.
  const subscriptions = subscriptionsOf(app).map(({ subscription }) => subscription);
  const services = app.services
    .map(({ contract }) => contract.name)
    .filter((name) => subscriptions.some((subscription) => subscription.startsWith(`${name}.`)));
  if (service !== undefined && !services.includes(service)) {
    const meant = nearest(service, services) ?? services.join(", ");
    throw new StartError(
      "SUBSCRIBER_UNKNOWN",
      `--service ${service}: no service of that name has subscriptions; there is ${meant || "none that has"}.`,
    );
  }
  const boxes = new Map(
    (service === undefined ? services : [service]).map((name) => [name, deadLetters(stores.databaseOf(name))]),
  );
  const of = (name: string): DeadLetters => {
    const box = boxes.get(name);
    if (!box) throw new Error(`assertion failed: ${name} has no dead letters`);
    return box;
  };
  return {
    of,
    services: [...boxes.keys()],
    async list() {
      const found: ServiceDeadLetter[] = [];
      for (const [name, box] of boxes) {
        let after: string | undefined;
        do {
          const page = await box.list({ limit: 1000, ...(after !== undefined && { after }) });
          found.push(...page.items.map((item) => ({ service: name, ...item })));
          after = page.next;
        } while (after !== undefined && found.length < lettersMax);
      }
      return found.slice(0, lettersMax);
    },
    async find(ids) {
      const found = await Promise.all(ids.map((id) => findOne(boxes, id)));
      const missing = ids.filter((_id, i) => found[i] === undefined);
      if (missing.length > 0) {
        throw new StartError(
          "DEAD_LETTER_UNKNOWN",
          missing.map((id) => `ID: there is no dead letter "${id}"; plinth events dead list shows those there are.`),
        );
      }
      return found.flatMap((letter) => letter ?? []);
    },
  };
}

async function findOne(boxes: ReadonlyMap<string, DeadLetters>, id: string): Promise<ServiceDeadLetter | undefined> {
  for (const [service, box] of boxes) {
    const letter = await box.show(id);
    if (letter) return { service, ...letter };
  }
  return undefined;
}

/** Asks a person. Where there is none, `--yes` has to say it. */
export async function confirm(question: string, yes: boolean, terminal: Terminal): Promise<boolean> {
  if (yes) return true;
  const answer = await terminal.ask(`${question} [y/N] `);
  if (answer === undefined) {
    throw new StartError("CONFIRMATION_MISSING", `${question} There is nobody to ask here; say so with --yes.`);
  }
  return /^y(?:es)?$/i.test(answer.trim());
}
