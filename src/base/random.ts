import { randomFillSync } from "node:crypto";

/**
 * Randomness as an argument. `next` is a number in [0, 1) for jitter and sampling; `fill` gives bytes fit for ids and
 * keys (from the operating system); `uint32` is a fast 32-bit number from a refilled pool of such bytes.
 */
export interface Random {
  next(): number;
  uint32(): number;
  fill(bytes: Uint8Array): Uint8Array;
}

const poolWords = 4096;

function createSystemRandom(): Random {
  const pool = new Uint32Array(poolWords);
  let used = poolWords;
  const uint32 = (): number => {
    if (used === poolWords) {
      randomFillSync(pool);
      used = 0;
    }
    return pool[used++] as number;
  };
  return {
    uint32,
    next: () => uint32() / 0x1_0000_0000,
    fill: (bytes) => randomFillSync(bytes),
  };
}

export const systemRandom: Random = createSystemRandom();

/** The same numbers for the same seed (mulberry32, Tommy Ettinger, public domain). For tests and simulation, never for keys. */
export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0;
  const uint32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  };
  return {
    uint32,
    next: () => uint32() / 0x1_0000_0000,
    fill(bytes) {
      for (let i = 0; i < bytes.length; i++) bytes[i] = uint32() & 0xff;
      return bytes;
    },
  };
}
