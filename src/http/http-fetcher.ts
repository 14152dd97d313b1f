import type { IncomingHttpHeaders } from "node:http";
import type { Clock } from "../base/index.ts";
import { deadlineExceeded } from "../base/index.ts";
import type { Egress } from "./egress.ts";
import { answerUnreadable, egressDenied } from "./errors.ts";
import { createHttpPool } from "./http-pool.ts";
import type { HttpTls } from "./tls.ts";

/**
 * Gets single JSON documents from addresses that others may have a say in: keys of an issuer, discovery documents.
 *
 * Each comes over a connection of its own, which is then closed. Redirects are not followed: what answers with one has
 * its status reported, and no document. By default only public addresses are reached, see `Egress`.
 */
export interface HttpFetcher {
  /**
   * Throws `unavailable` (HTTP_UNREACHABLE, HTTP_CONNECT_TIMEOUT, HTTP_CONNECTION_LOST), `deadline_exceeded`,
   * HTTP_EGRESS_DENIED, and HTTP_ANSWER_UNREADABLE for an answer of 2xx that is no JSON, or larger than `bytesMax`.
   */
  getJson(url: string, options?: FetchOptions): Promise<FetchedJson>;
}

export interface FetchOptions {
  /** For all of it, the connection included. Default 5 s. */
  readonly timeoutMs?: number;
  /** Of the document. Default 256 KiB. */
  readonly bytesMax?: number;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface FetchedJson {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Undefined when the status is none of 2xx and the answer no JSON. */
  readonly json: unknown;
}

export interface HttpFetcherOptions {
  readonly clock: Clock;
  readonly egress?: Egress;
  readonly tls?: HttpTls;
}

/** Throws StartError HTTP_EGRESS_WRONG and HTTP_TLS_UNUSABLE. */
export function createHttpFetcher(options: HttpFetcherOptions): HttpFetcher {
  const { clock, tls } = options;
  const egress = options.egress ?? {};
  // Made once for nothing, so that a wrong option is told at the start.
  void createHttpPool("http://localhost", { egress, tls }).close();
  return { getJson: (url, asked) => getJson(url, asked ?? {}, { clock, egress, tls }) };
}

interface Parts {
  readonly clock: Clock;
  readonly egress: Egress;
  readonly tls: HttpTls | undefined;
}

async function getJson(text: string, asked: FetchOptions, { clock, egress, tls }: Parts): Promise<FetchedJson> {
  const url = targetOf(text);
  const { timeoutMs = 5000, bytesMax = 256 * 1024, headers } = asked;
  const pool = createHttpPool(url.origin, { limits: { connections: 1, connectMs: timeoutMs }, egress, tls });
  try {
    return await new Promise<FetchedJson>((resolve, reject) => {
      const body = new JsonBody(bytesMax);
      let cancelTimer = (): void => {};
      const settle = (work: () => void): void => {
        cancelTimer();
        work();
      };
      const exchange = pool.send(
        {
          method: "GET",
          path: url.pathname + url.search,
          headers: { accept: "application/json", "accept-encoding": "identity", ...headers },
          headTimeoutMs: 0,
          bodyTimeoutMs: 0,
        },
        {
          onHead: (status, received) => body.begin(status, received),
          onChunk(chunk) {
            if (body.add(chunk)) return;
            const tooLarge = answerUnreadable(`${url.origin}: its answer is over ${bytesMax} bytes`);
            exchange.cancel(tooLarge);
            settle(() => reject(tooLarge));
          },
          onEnd: () => settle(() => body.settle(url, resolve, reject)),
          onFailure: (reason) => settle(() => reject(reason)),
        },
      );
      cancelTimer = clock.after(timeoutMs, () => {
        const late = deadlineExceeded();
        exchange.cancel(late);
        reject(late);
      });
    });
  } finally {
    await pool.close();
  }
}

function targetOf(text: string): URL {
  if (!URL.canParse(text)) throw egressDenied(`${JSON.stringify(text.slice(0, 200))} is no URL`);
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw egressDenied(`${url.protocol} is not HTTP`);
  if (url.username !== "" || url.password !== "") throw egressDenied("the URL carries a password");
  return url;
}

class JsonBody {
  readonly #bytesMax: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #status = 0;
  #headers: IncomingHttpHeaders = {};

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  begin(status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  /** False when that was too much. */
  add(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    return this.#bytes <= this.#bytesMax;
  }

  settle(url: URL, resolve: (fetched: FetchedJson) => void, reject: (reason: Error) => void): void {
    const [status, headers] = [this.#status, this.#headers];
    try {
      resolve({ status, headers, json: JSON.parse(Buffer.concat(this.#chunks).toString("utf8")) });
    } catch (cause) {
      if (status >= 200 && status < 300) reject(answerUnreadable(`${url.origin}: its answer is no JSON`, cause));
      else resolve({ status, headers, json: undefined });
    }
  }
}
