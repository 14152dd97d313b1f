import type { Member } from "./member.ts";

/** While at least this part of a zone's members is available, it serves itself. */
const healthyMin = 0.7;

/**
 * Those of the own zone, when there are enough: traffic between zones costs time and money. When too many of the zone's
 * members are out, all zones share the load, so that the rest of it is not overrun.
 */
export function preferZone<M extends Member>(
  available: readonly M[],
  all: readonly M[],
  zone: string | undefined,
): readonly M[] {
  if (zone === undefined) return available;
  const near = available.filter((each) => each.zone === zone);
  const nearCount = all.filter((each) => each.zone === zone).length;
  return near.length > 0 && near.length >= healthyMin * nearCount ? near : available;
}
