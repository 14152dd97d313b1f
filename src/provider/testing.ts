/** The second door, for proof only: a browser without a screen that signs in. */
export type { Browser, Walk } from "./test-browser.ts";
export { createBrowser } from "./test-browser.ts";
