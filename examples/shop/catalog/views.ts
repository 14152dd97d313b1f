import { createHash } from "node:crypto";
import type { Cache, Transaction } from "plinth";
import type { Product } from "./contract.ts";

/**
 * What is kept of the catalogue, and what makes it go. One product is kept under its own tag; a page of many is kept under
 * the one tag of all pages, since anything may be on it. Both go after the commit of the change that they do not show yet,
 * and by themselves after half a minute.
 */
const ttl = "30s";
const pages = "pages";

export function productView(cache: Cache, id: string, load: () => Promise<Product | null>): Promise<Product | null> {
  return cache.getOrLoad(`product:${id}`, load, { ttl, tags: [tagOf(id)] });
}

/** `request` tells one page from another; as a digest, since a cursor may be longer than a key. */
export function pageView<T>(cache: Cache, request: object, load: () => Promise<T>): Promise<T> {
  const digest = createHash("sha256").update(JSON.stringify(request)).digest("base64url");
  return cache.getOrLoad(`page:${digest}`, load, { ttl, tags: [pages] });
}

/** To be called in the transaction that changes a product, or hears of its change. */
export function forget(cache: Cache, tx: Transaction, productId: string): void {
  tx.afterCommit(() => cache.invalidate([tagOf(productId), pages]));
}

function tagOf(productId: string): string {
  return `product:${productId}`;
}
