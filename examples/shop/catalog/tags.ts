/**
 * By what the catalogue's answers are found again, to be forgotten. One product has a tag of its own; pages of many share
 * one, since anything may be on any of them.
 */
export const pages = "pages";

export function productTag(id: string): string {
  return `product:${id}`;
}
