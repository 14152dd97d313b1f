/**
 * Which versions of an API a method belongs to: `1`, or several, `[1, 2]`. Declared on a contract for all its methods or on
 * a method alone, which then counts. Where none is declared the method is in every version.
 */
export type Versions = number | readonly number[];

/** Ascending. Adds what is wrong to `problems`. */
export function compileVersions(id: string, declared: Versions | undefined, problems: string[]): readonly number[] {
  if (declared === undefined) return [];
  const versions = typeof declared === "number" ? [declared] : [...declared];
  if (versions.length === 0) problems.push(`${id}: version: name at least one, or leave it out.`);
  for (const version of versions) {
    if (!Number.isInteger(version) || version < 1 || version > 9999) {
      problems.push(`${id}: version: ${JSON.stringify(version)} is none; write a whole number from 1 to 9999.`);
    }
  }
  if (new Set(versions).size !== versions.length) problems.push(`${id}: version: one is named twice.`);
  return versions.sort((a, b) => a - b);
}
