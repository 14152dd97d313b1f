const attemptsMax = 3;

/** A slice in which a request failed counts for nothing. It is measured again: a machine that stood still is no defect. */
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
