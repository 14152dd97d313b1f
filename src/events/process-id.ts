import { newId } from "../base/index.ts";

/** Marks what this process holds apart from what one that is gone held. */
export const processId = newId();
