import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../base/index.ts";

/** Bodies that nobody wants, of requests that are refused. */

/** A body this large that nobody wants is still read, so that the connection can be kept. Above: closed. */
const discardBytesMax = 64 * 1024;
/** How long a connection stays open for a client that is still sending while it is being refused. */
const lingerMs = 1000;

/** Whether there is more body to come than is worth reading for nothing. */
export function isUnreadBodyLarge(req: IncomingMessage, res: ServerResponse): boolean {
  if (req.complete) return false;
  const { headers } = req;
  if (headers["transfer-encoding"] !== undefined) return true;
  const length = headers["content-length"];
  return length !== undefined && Number(length) > (res.shouldKeepAlive ? discardBytesMax : 0);
}

/**
 * Refuses a request whose body is still coming. Closing at once would reset the connection and lose the answer on its
 * way; so the whole answer is sent, what still comes is thrown away, and after its end or 1 s the connection closes.
 */
export function refuseAndLinger(
  req: IncomingMessage,
  res: ServerResponse,
  head: string[],
  text: string,
  clock: Clock,
): void {
  res.shouldKeepAlive = false;
  res.writeHead(res.statusCode, head);
  res.write(text);
  // Bound now: a mounted handler that lost its answer finds `res.end` replaced.
  const finish = res.end.bind(res);
  const end = () => {
    cancel();
    if (!res.writableEnded) finish();
  };
  const cancel = clock.after(lingerMs, end);
  req.once("end", end);
  req.once("close", end);
  req.resume();
}
