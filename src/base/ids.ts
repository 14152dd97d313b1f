import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import { PlinthError } from "./errors.ts";
import type { Random } from "./random.ts";
import { systemRandom } from "./random.ts";

/**
 * UUIDv7 (RFC 9562, 5.7 with the 12-bit counter of 6.2 method 1): ids that sort by the time they were made, also
 * within one millisecond and when the wall clock steps back. A step back of more than 10 s is refused with
 * `CLOCK_REGRESSION` rather than hidden.
 *
 * An id is a name, not a secret: it has 62 random bits. Keys and tokens take 128 or more from `random.fill`.
 */
export function createIds(clock: Clock = systemClock, random: Random = systemRandom): () => string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  let lastMs = 0;
  let counter = 0;

  return () => {
    const nowMs = Math.floor(clock.wallNow());
    if (nowMs > lastMs) {
      lastMs = nowMs;
      counter = random.uint32() & 0x7ff;
    } else {
      if (lastMs - nowMs > regressionMsMax) {
        throw new PlinthError("internal", "The clock of this machine went back by more than 10 s.", {
          reason: "CLOCK_REGRESSION",
        });
      }
      counter++;
      if (counter > 0xfff) {
        lastMs++;
        counter = random.uint32() & 0x7ff;
      }
    }
    view.setUint32(0, Math.floor(lastMs / 0x1_0000));
    view.setUint16(4, lastMs % 0x1_0000);
    view.setUint16(6, 0x7000 | counter);
    view.setUint32(8, 0x8000_0000 | (random.uint32() & 0x3fff_ffff));
    view.setUint32(12, random.uint32());
    return format(bytes);
  };
}

const regressionMsMax = 10_000;
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function format(b: Uint8Array): string {
  const h = (i: number) => hex[b[i] as number];
  return `${h(0)}${h(1)}${h(2)}${h(3)}-${h(4)}${h(5)}-${h(6)}${h(7)}-${h(8)}${h(9)}-${h(10)}${h(11)}${h(12)}${h(13)}${h(14)}${h(15)}`;
}

/** A new UUIDv7 from the machine's clock. */
export const newId: () => string = createIds();
