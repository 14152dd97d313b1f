const attemptsMax = 3;

/** Throws what makes a slice void: that a request failed, or that there was none. */
export function proveSlice(name: string, { requests, failures }: { requests: number; failures: number }): void {
  if (failures > 0) throw new Error(`${name}: ${failures} of ${requests} requests failed`);
  if (requests === 0) throw new Error(`${name}: no request was answered`);
}

/** A slice that is void counts for nothing. It is measured again: a machine that stood still is no defect. */
export async function measureSound<Sample>(slice: () => Promise<Sample>, say: (text: string) => void): Promise<Sample> {
  for (let left = attemptsMax - 1; ; left--) {
    try {
      return await slice();
    } catch (thrown) {
      if (left === 0) throw thrown;
      say(`${thrown instanceof Error ? thrown.message : String(thrown)}; measured again`);
    }
  }
}
