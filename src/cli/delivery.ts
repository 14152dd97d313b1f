import type { Runtime } from "../app/index.ts";
import type { Clock } from "../base/index.ts";

/** A call by hand does not wait longer for what it caused. */
const deliveryMsMax = 5000;
const lookEveryMs = 25;

/** Until every event of the app has taken effect, at most 5 s. Answers where those are that have not: "3 in the outbox of cart". */
export async function untilDelivered({ underWay }: Runtime["background"], clock: Clock): Promise<readonly string[]> {
  const endAt = clock.now() + deliveryMsMax;
  for (;;) {
    const left = await underWay();
    if (left.length === 0 || clock.now() >= endAt) return left.map(({ where, count }) => `${count} in ${where}`);
    await clock.sleep(lookEveryMs);
  }
}
