import type { Clock } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { Subscriber } from "./driver.ts";

const concurrencyMax = 1000;
const closeGraceMs = 10_000;

/** Stops a subscription that cannot work. Every driver calls it first. */
export function checkSubscriber({ subscription, types, concurrency }: Subscriber): void {
  const problems: string[] = [];
  if (!/^[^\s\0]{1,200}$/.test(subscription)) {
    problems.push(
      `subscription "${subscription}": a name has 1 to 200 characters and no spaces, such as "email.sendMail".`,
    );
  }
  if (types.length === 0)
    problems.push(`subscription "${subscription}": types is empty. Name at least one event type.`);
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > concurrencyMax) {
    problems.push(
      `subscription "${subscription}": concurrency is ${concurrency}. Give a whole number from 1 to ${concurrencyMax}.`,
    );
  }
  if (problems.length > 0) throw new StartError("SUBSCRIPTION_UNUSABLE", problems);
}

/** Waits for what runs, at most 10 s. What still runs then is left to itself: its lease ends, and it is delivered again. */
export async function withinGrace(clock: Clock, over: Promise<unknown>): Promise<void> {
  let cancel = () => {};
  const grace = new Promise<void>((resolve) => {
    cancel = clock.after(closeGraceMs, resolve);
  });
  await Promise.race([over, grace]);
  cancel();
}
