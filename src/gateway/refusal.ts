import type { PlinthError } from "../base/index.ts";
import { HttpError, httpPhrase, httpStatusOf, stringifyProblem, toProblem } from "../wire/index.ts";
import type { HeadTemplate } from "./head.ts";

/** A whole answer as bytes, for what never became a request. The connection closes after it. */
export function rawRefusal(failure: PlinthError, head: HeadTemplate, dateText: string): Buffer {
  const status = httpStatusOf(failure);
  const text = stringifyProblem(toProblem(failure));
  const lines = [`HTTP/1.1 ${status} ${httpPhrase(status)}`, `date: ${dateText}`, "connection: close"];
  for (let i = 2; i < head.length; i += 2) lines.push(`${head[i]}: ${head[i + 1]}`);
  if (failure instanceof HttpError)
    for (const [name, value] of Object.entries(failure.headers)) lines.push(`${name}: ${value}`);
  lines.push(`content-length: ${Buffer.byteLength(text)}`, "", text);
  return Buffer.from(lines.join("\r\n"));
}
