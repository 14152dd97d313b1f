import type { ClientHttp2Session, OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:http2";

/** For tests: one request over HTTP/2 and its whole answer. */
export interface Http2Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string;
  /** The code that the stream was reset with; 0 for none. */
  readonly resetCode: number;
}

export function http2Client(port: number, ca: string, options: object = {}): ClientHttp2Session {
  const session = connect(`https://localhost:${port}`, { ca, ...options });
  session.on("error", () => {});
  return session;
}

export async function http2Ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  let status = 0;
  let answered: Record<string, string | string[]> = {};
  let text = "";
  stream.setEncoding("utf8");
  stream.on("response", ({ ":status": code, ...rest }) => {
    status = Number(code);
    answered = rest as Record<string, string | string[]>;
  });
  stream.on("data", (chunk: string) => {
    text += chunk;
  });
  stream.on("error", () => {});
  if (body !== undefined) stream.end(body);
  await new Promise((resolve) => stream.once("close", resolve));
  return { status, headers: answered, body: text, resetCode: stream.rstCode ?? 0 };
}
