import assert from "node:assert/strict";
import { newId, systemClock } from "../base/index.ts";
import type { Broker, Deliver, Delivery, Subscribed } from "./driver.ts";
import type { EventMessage } from "./event.ts";

/** What the cases of the suite share: messages, and a subscriber that writes down what it got. */
export function messageOf(fields: Partial<EventMessage> = {}): EventMessage {
  return {
    id: newId(),
    type: "shop.Sold",
    key: newId(),
    payload: "{}",
    source: "shop",
    at: "2026-01-01T00:00:00.000Z",
    ...fields,
  };
}

/** `count` messages of one key, numbered in the payload. */
export function numbered(key: string, count: number): EventMessage[] {
  return Array.from({ length: count }, (_, i) => messageOf({ key, payload: JSON.stringify({ n: i }) }));
}

export interface Recorder {
  readonly seen: Delivery[];
  ids(): string[];
  readonly subscribed: Subscribed;
}

export interface RecordOptions {
  readonly subscription?: string;
  readonly types?: readonly string[];
  readonly concurrency?: number;
  /** Runs after the delivery was noted. */
  readonly then?: Deliver;
}

/** Subscribes, and notes each delivery as it begins. */
export async function record(broker: Broker, options: RecordOptions = {}): Promise<Recorder> {
  const seen: Delivery[] = [];
  const subscriber = {
    subscription: options.subscription ?? "mail.send",
    types: options.types ?? ["shop.Sold"],
    concurrency: options.concurrency ?? 4,
  };
  const subscribed = await broker.subscribe(subscriber, async (delivery) => {
    seen.push(delivery);
    await options.then?.(delivery);
  });
  return { seen, ids: () => seen.map(({ message }) => message.id), subscribed };
}

/** Waits until the claim holds; fails with its name when it does not in time. */
export async function until(what: string, waitMsMax: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endAt = systemClock.now() + waitMsMax;
  while (!(await holds())) {
    assert.ok(systemClock.now() < endAt, `waited ${waitMsMax} ms in vain: ${what}`);
    await systemClock.sleep(5);
  }
}

/** Long enough for what must not happen to happen. */
export const quiet = (): Promise<void> => systemClock.sleep(300);

/** A door that deliveries wait at until it is opened. */
export function createGate(): { open(): void; readonly opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

export const mail = { subscription: "mail.send", types: ["shop.Sold"] };
