import type { App, Stores } from "../app/index.ts";
import type { Terminal } from "./terminal.ts";

/** What each action of `plinth events` gets to work with. */
export interface EventFlags {
  readonly app: string | undefined;
  readonly service: string | undefined;
  readonly all: boolean;
  readonly payload: string | undefined;
  readonly subscription: string | undefined;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly type: string | undefined;
  readonly again: boolean;
  readonly plan: boolean;
  readonly as: string | undefined;
  readonly reason: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
}

/** The app and its database, which is open. */
export interface EventWork {
  readonly app: App;
  readonly stores: Stores;
  /** What follows the action. */
  readonly names: readonly string[];
  readonly flags: EventFlags;
  readonly terminal: Terminal;
}

export type EventAction = (work: EventWork) => Promise<void>;
