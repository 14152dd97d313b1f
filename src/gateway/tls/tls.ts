import type { SecureContext, SecureContextOptions } from "node:tls";
import { createSecureContext } from "node:tls";
import type { Clock, Duration } from "../../base/index.ts";
import { parseDuration } from "../../base/index.ts";
import type { Logger, Metrics } from "../../telemetry/index.ts";
import { wrongGateway } from "../errors.ts";
import type { Http2Options } from "../http2/http2.ts";
import type { AcmeOptions } from "./acme.ts";
import type { Certificate, TlsPair } from "./certificate.ts";
import { hasChanged, pickByName, readAuthority, readCertificate } from "./certificate.ts";

/**
 * TLS at the gateway: which certificates it shows, to whom, and for how long.
 *
 * Promises
 * - TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers only; no renegotiation.
 * - A client that names a host gets the certificate that carries the name; else the first one.
 * - Files that change are taken without a restart, all together or not at all: a pair that cannot serve (unreadable, key of
 *   another certificate, expired) is refused with a log line, and what was there goes on. Connections that stand are not
 *   touched.
 * - Where client certificates are asked for, one that is shown must come from the authority. Its thumbprint is given to
 *   identity, for tokens that are bound to it.
 * - Plain HTTP is not spoken on this port, and no other port is open, unless `plainPort` says so: there everything is 403,
 *   never redirected, because a redirect would hide that a client sends its token in the open.
 *
 * Not here: OCSP stapling (certificates are short-lived instead), TLS 1.1 and older, pre-shared keys.
 */
export interface TlsOptions {
  /** PEM file with the certificate and its chain, its own certificate first. PLINTH_TLS_CERT overrides it. */
  readonly certificate?: string;
  /** PEM file with its key. PLINTH_TLS_KEY overrides it. */
  readonly key?: string;
  /** Certificates of further hosts. */
  readonly more?: readonly TlsPair[];
  /** Default "1.2". */
  readonly minVersion?: "1.2" | "1.3";
  /** Whether clients show certificates of their own. Default: they are not asked. */
  readonly clients?: TlsClients;
  /** `false`: HTTP/1.1 only. */
  readonly http2?: Http2Options | false;
  /** How often the files are looked at. Default 10 s. */
  readonly checkEvery?: Duration;
  /** Certificates from an authority by ACME, in the place of files; needs the package `acme-client`. */
  readonly acme?: AcmeOptions;
  /** A port for plain HTTP, on which everything is 403. PLINTH_TLS_PLAIN_PORT overrides it. Default: none, with `acme` 80. */
  readonly plainPort?: number;
}

export interface TlsClients {
  /** PEM file with the authorities that client certificates come from. */
  readonly authority: string;
  /** Whether a connection without one is refused. Default false: those who have one show it. */
  readonly required?: boolean;
}

/** What the server listens with. */
export interface GatewayTls {
  /** For `https.createServer`: the certificates of now. */
  readonly serverOptions: SecureContextOptions & {
    readonly SNICallback: (name: string, done: (fault: Error | null, context?: SecureContext) => void) => void;
    readonly requestCert: boolean;
    readonly rejectUnauthorized: boolean;
  };
  /** Whether a client that shows a certificate which cannot be trusted is refused. */
  readonly asksClients: boolean;
  readonly http2: Http2Options | false;
  /** Hears of the certificate for clients that name no host, whenever it changes. The returned function takes it back. */
  onChange(listener: (options: SecureContextOptions) => void): () => void;
  /** Looks at the files now. True when something else is served from now on. */
  check(): Promise<boolean>;
  /** Looks at them from now on. */
  watch(): void;
  close(): void;
}

export interface TlsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics | undefined;
  /** Whether the first certificate may come later: until then every handshake fails. */
  readonly waits?: boolean;
}

/** Reads the files. Throws StartError TLS_INVALID. */
export async function createGatewayTls(options: TlsOptions, parts: TlsParts): Promise<GatewayTls> {
  const { clock, log, metrics } = parts;
  const { pairs, checkEveryMs } = checkTls(options);
  const problems: string[] = [];
  const first = await load(options, pairs, clock.wallNow(), problems);
  if (!first && !parts.waits) throw wrongGateway("TLS_INVALID", problems);
  let served: Served = first ?? nothing;
  let refusedText = "";
  let isChecking = false;
  let stopWatch = (): void => {};
  const listeners = new Set<(options: SecureContextOptions) => void>();
  const reloads = metrics?.counter(
    "plinth_gateway_certificate_reloads_total",
    "Changed certificates, by whether they were taken.",
    ["result"],
  );
  const expiry = metrics?.gauge(
    "plinth_gateway_certificate_expiry_timestamp_seconds",
    "When the certificate expires, in seconds since 1970.",
    ["certificate"],
  );
  const show = (): void => {
    for (const { label, expiresAt } of served.certificates) expiry?.with({ certificate: label }).set(expiresAt / 1000);
  };
  show();

  const reload = async (): Promise<boolean> => {
    if (served !== nothing && !(await hasChanged(served.files))) {
      refusedText = "";
      return false;
    }
    const faults: string[] = [];
    const next = await load(options, pairs, clock.wallNow(), faults);
    if (!next) {
      const text = faults.join(" ");
      if (text !== refusedText && served !== nothing) {
        reloads?.with({ result: "refused" }).add();
        log.error({ faults }, "changed certificates were refused; the old ones go on");
      }
      refusedText = text;
      return false;
    }
    served = next;
    refusedText = "";
    show();
    reloads?.with({ result: "taken" }).add();
    for (const { label, expiresAt } of served.certificates) {
      log.info({ certificate: label, expires: new Date(expiresAt).toISOString() }, "a certificate was loaded");
    }
    for (const listener of listeners) listener(served.default);
    return true;
  };
  const check = async (): Promise<boolean> => {
    if (isChecking) return false;
    isChecking = true;
    try {
      return await reload();
    } finally {
      isChecking = false;
    }
  };
  return {
    serverOptions: {
      ...served.default,
      SNICallback: (name, done) => done(null, pickByName(served.certificates, name)?.context),
      requestCert: options.clients !== undefined,
      rejectUnauthorized: options.clients?.required === true,
    },
    asksClients: options.clients !== undefined,
    http2: options.http2 ?? {},
    check,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    watch() {
      stopWatch();
      stopWatch = clock.every(checkEveryMs, () => void check());
    },
    close: () => stopWatch(),
  };
}

interface Served {
  readonly certificates: readonly (Certificate & { readonly context: SecureContext })[];
  readonly default: SecureContextOptions;
  /** Content of each file by its path. */
  readonly files: ReadonlyMap<string, string>;
}

/** Before the first certificate is there. */
const nothing: Served = { certificates: [], default: {}, files: new Map() };

/** TLS 1.2 as Mozilla's "intermediate" has it, without DHE, for which nobody needs a parameter file any more. */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** All of it, or undefined with the reasons in `problems`. */
async function load(
  options: TlsOptions,
  pairs: readonly TlsPair[],
  now: number,
  problems: string[],
): Promise<Served | undefined> {
  const files = new Map<string, string>();
  const authority = options.clients && (await readAuthority(options.clients.authority, files, problems));
  const read = await Promise.all(pairs.map((pair) => readCertificate(pair, now, files, problems)));
  if (problems.length > 0) return undefined;
  const toOptions = ({ certificate, key }: Certificate): SecureContextOptions => ({
    cert: certificate,
    key,
    ciphers,
    ecdhCurve: "X25519:prime256v1:secp384r1",
    minVersion: options.minVersion === "1.3" ? "TLSv1.3" : "TLSv1.2",
    ...(authority !== undefined && { ca: authority }),
  });
  const known = read.filter((each) => each !== undefined);
  try {
    const certificates = known.map((each) => ({ ...each, context: createSecureContext(toOptions(each)) }));
    return { certificates, default: toOptions(known[0] as Certificate), files };
  } catch (cause) {
    problems.push(`gateway: tls: the certificates cannot be used: ${(cause as Error).message}`);
    return undefined;
  }
}

function checkTls(options: TlsOptions): { readonly pairs: readonly TlsPair[]; readonly checkEveryMs: number } {
  const { certificate, key, more = [], minVersion = "1.2", checkEvery = "10s", plainPort } = options;
  const problems: string[] = [];
  const checkEveryMs = parseDuration(checkEvery);
  if (certificate === undefined || key === undefined) {
    problems.push(
      "gateway: tls: it needs a certificate and its key; name both files (PLINTH_TLS_CERT and PLINTH_TLS_KEY).",
    );
  }
  if (minVersion !== "1.2" && minVersion !== "1.3") problems.push('gateway: tls.minVersion: write "1.2" or "1.3".');
  if (checkEveryMs === undefined || checkEveryMs < 100) {
    problems.push('gateway: tls.checkEvery: write a duration from 100 ms, such as "10s".');
  }
  if (plainPort !== undefined && !(Number.isInteger(plainPort) && plainPort >= 0 && plainPort <= 65_535)) {
    problems.push("gateway: tls.plainPort: write a port from 0 to 65535.");
  }
  if (problems.length > 0) throw wrongGateway("TLS_INVALID", problems);
  return {
    pairs: [{ certificate: certificate as string, key: key as string }, ...more],
    checkEveryMs: checkEveryMs as number,
  };
}
