import type { ErrorCode, ErrorOptions } from "../base/index.ts";
import { PlinthError } from "../base/index.ts";

/**
 * An error that the HTTP edge raises about HTTP itself (404 for a route, 405, 406, 408, 411, 413, 414, 415, 431, 501),
 * with its exact status and the headers that belong to it; and `upstream`, of targets behind it (502, 503, 504, 508). Other
 * rooms below the edge never make one: they use codes.
 *
 * The handler has not run: `executed` is "no" unless told otherwise. On its way through RPC it becomes a plain
 * `PlinthError` with the same code, reason and message.
 */
export class HttpError extends PlinthError {
  readonly status: number;
  /** Further response headers, names in lower case: `allow`, `accept`, `www-authenticate`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: ErrorCode, message: string, options: HttpErrorOptions) {
    super(code, message, { executed: "no", ...options });
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

export interface HttpErrorOptions extends ErrorOptions {
  headers?: Readonly<Record<string, string>>;
}
