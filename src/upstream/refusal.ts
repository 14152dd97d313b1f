import type { IncomingHttpHeaders } from "node:http";
import { problemContentType } from "../wire/index.ts";

/** Longer ones are answers like any other. */
const refusalBytesMax = 8 * 1024;

/** Whether an answer may be a target's word that it did nothing: one that sheds load, or is about to leave. */
export function mayBeRefusal(status: number, headers: IncomingHttpHeaders): boolean {
  if (status !== 503 && status !== 429) return false;
  const type = headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  return type === problemContentType && Number(headers["content-length"] ?? Number.NaN) <= refusalBytesMax;
}

/** Whether it is: a problem document with `"executed": "no"`, as processes of Plinth answer with. */
export function isRefusal(body: Buffer): boolean {
  try {
    return (JSON.parse(body.toString("utf8")) as { executed?: unknown } | null)?.executed === "no";
  } catch {
    return false;
  }
}
