import { Agent, request } from "node:http";

/**
 * HTTP as a customer's program speaks it: connections that are kept, a limit on the wait, JSON both ways. A request that
 * gets no answer has an outcome that nobody knows; whether it may be sent again is for the caller to say.
 */
export interface Sending {
  readonly route: string;
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly idempotencyKey?: string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly body: any;
}

/** There was no answer, or no whole one. `reason` is for counting: "timeout", "ECONNRESET". */
export class NoAnswer extends Error {
  readonly reason: string;
  /** The connection was an old one, and is closed: most likely by a server that never saw the request. */
  readonly isStale: boolean;

  constructor(reason: string, isStale: boolean) {
    super(`no answer: ${reason}`);
    this.reason = reason;
    this.isStale = isStale;
  }
}

export interface Wire {
  /** Throws NoAnswer. */
  send(sending: Sending): Promise<Answer>;
  close(): void;
}

export function createWire(url: string, options: { readonly socketsMax: number; readonly timeoutMs: number }): Wire {
  const agent = new Agent({ keepAlive: true, maxSockets: options.socketsMax });
  return {
    send({ route, token, body, idempotencyKey }) {
      const [method = "GET", path = "/"] = route.split(" ");
      const text = body === undefined ? undefined : JSON.stringify(body);
      return new Promise<Answer>((resolve, reject) => {
        const sent = request(new URL(path, url), {
          method,
          agent,
          headers: {
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
            ...(idempotencyKey !== undefined && { "idempotency-key": `"${idempotencyKey}"` }),
            ...(text !== undefined && {
              "content-type": "application/json",
              "content-length": Buffer.byteLength(text),
            }),
          },
        });
        let hasBegun = false;
        const fail = (reason: string) => {
          clearTimeout(timer);
          reject(new NoAnswer(reason, sent.reusedSocket && !hasBegun && reason === "ECONNRESET"));
        };
        const timer = setTimeout(() => {
          fail("timeout");
          sent.destroy();
        }, options.timeoutMs);
        sent.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? "connection"));
        sent.on("response", (response) => {
          hasBegun = true;
          let received = "";
          response.setEncoding("utf8").on("data", (chunk: string) => {
            received += chunk;
          });
          response.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? "connection"));
          response.on("end", () => {
            clearTimeout(timer);
            try {
              resolve({ status: response.statusCode ?? 0, body: received === "" ? undefined : JSON.parse(received) });
            } catch {
              reject(new NoAnswer("not JSON", false));
            }
          });
        });
        sent.end(text);
      });
    },
    close: () => agent.destroy(),
  };
}
