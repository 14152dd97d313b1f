/** What a request shows of who sends it: headers as they came, and the rest when it is asked for. */
export interface Presented {
  readonly authorization: string | undefined;
  /** The value of the header for API keys. */
  readonly apiKey: string | undefined;
  /** The proof of a DPoP key (RFC 9449). */
  readonly dpop: string | undefined;
  readonly method: string;
  /** The address that the client asked for, absolute, without query and fragment: `https://api.example.com/orders`. */
  url(): string;
  /** SHA-256 of the certificate of the client's TLS connection, base64url; undefined when it showed none. */
  certificate(): string | undefined;
}

export type Scheme = "bearer" | "dpop" | "apikey";

export interface Credential {
  readonly scheme: Scheme;
  readonly token: string;
}

const schemes: ReadonlySet<string> = new Set<Scheme>(["bearer", "dpop", "apikey"]);

/** The scheme that a header names, if it is one that Plinth knows. */
export function schemeOf(authorization: string): Scheme | undefined {
  const end = authorization.indexOf(" ");
  const name = (end === -1 ? authorization : authorization.slice(0, end)).toLowerCase();
  return schemes.has(name) ? (name as Scheme) : undefined;
}

/** Scheme and token of a header; undefined when it is not a known scheme, blanks and one word (RFC 9110, 11.6.2). */
export function readCredential(authorization: string): Credential | undefined {
  const scheme = schemeOf(authorization);
  if (scheme === undefined) return undefined;
  const token = authorization.slice(scheme.length).trimStart();
  return /^[A-Za-z0-9._~+/-]+=*$/.test(token) ? { scheme, token } : undefined;
}
