import { X509Certificate } from "node:crypto";
import type { Clock, Random } from "../../base/index.ts";
import type { Logger, Metrics } from "../../telemetry/index.ts";
import { wrongGateway } from "../errors.ts";
import { openAcmeFolder } from "./acme-folder.ts";
import type { AcmeClient } from "./acme-order.ts";
import { orderCertificate } from "./acme-order.ts";

/**
 * A certificate from an authority that speaks ACME (RFC 8555), such as Let's Encrypt: ordered when there is none, renewed
 * when two thirds of its life are over, proven by HTTP-01, which takes port 80.
 *
 * Promises
 * - What failed leaves the old certificate where it is. The next try comes after 5 minutes, then after twice as long each
 *   time up to a day, and an hour after a success; that is kept in the folder, so that a process which is restarted over and
 *   over asks no more often.
 * - Gateways that share the folder share the account and the certificate: one of them orders, each of them answers the
 *   authority's question, and each takes the new certificate without a restart.
 *
 * Not here: DNS-01, and so no wildcards; TLS-ALPN-01. Gateways on several machines without a shared folder each order for
 * themselves, and the authority's question may reach the wrong one: let an ingress do it there, or share the folder.
 */
export interface AcmeOptions {
  /** Names that the certificate is for; each must lead to port 80 of this gateway. */
  readonly hosts: readonly string[];
  /** Whether you agree to the authority's terms of service. */
  readonly termsAgreed: true;
  /** Where the authority writes when a certificate is about to expire. */
  readonly email?: string;
  /** The authority's directory. Default: Let's Encrypt. */
  readonly directory?: string;
}

export interface Acme {
  readonly certificateFile: string;
  /** The answer to a challenge that is open. */
  challenge(token: string): Promise<string | undefined>;
  /** Orders when it is time. True when there is a new certificate. */
  renew(): Promise<boolean>;
  /** Looks from now on whether it is time; `onRenewed` runs after each new certificate. */
  start(onRenewed: () => Promise<unknown>): void;
  /** An order that is under way is given up: the next process begins anew. */
  stop(): void;
}

export interface AcmeParts {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics | undefined;
}

const lookEveryMs = 60_000;
const orderMsMax = 5 * 60_000;
const firstPauseMs = 5 * 60_000;
const lastPauseMs = 86_400_000;
const successPauseMs = 3_600_000;

/** Throws StartError ACME_INVALID, ACME_CLIENT_MISSING. */
export async function createAcme(options: AcmeOptions, parts: AcmeParts): Promise<Acme> {
  checkAcme(options);
  const { clock, random, log, metrics } = parts;
  const client = await loadClient();
  const folder = await openAcmeFolder(parts.folder, () => clock.wallNow());
  const orders = metrics?.counter("plinth_gateway_acme_orders_total", "Certificates ordered, by result.", ["result"]);
  // Processes that share a folder do not all come at once.
  const share = 2 / 3 + random.next() * 0.03;
  let stopLooking = (): void => {};
  let isAtIt = false;
  let leaving = new AbortController();

  const isTime = async (): Promise<boolean> => {
    const { notBefore } = await folder.attempts();
    return clock.wallNow() >= notBefore && isDue(await folder.certificate(), options.hosts, clock.wallNow(), share);
  };
  const order = async (): Promise<boolean> => {
    if (!(await isTime())) return false;
    const tooLate = new AbortController();
    const cancel = clock.after(orderMsMax, () => tooLate.abort(new Error(`it took over ${orderMsMax / 1000} s`)));
    const signal = AbortSignal.any([leaving.signal, tooLate.signal]);
    try {
      const pem = await orderCertificate(client, options, { folder, clock, signal });
      await folder.putCertificate(pem);
      // A clock that is far off would find each new certificate old already.
      await folder.putAttempts({ failures: 0, notBefore: clock.wallNow() + successPauseMs });
      orders?.with({ result: "issued" }).add();
      log.info({ hosts: options.hosts }, "a certificate was issued");
      return true;
    } catch (thrown) {
      // The process leaves: that says nothing of the authority, and the next one begins anew.
      if (leaving.signal.aborted) return false;
      const cause = tooLate.signal.aborted ? tooLate.signal.reason : thrown;
      const failures = (await folder.attempts()).failures + 1;
      const pauseMs = Math.min(lastPauseMs, firstPauseMs * 2 ** Math.min(failures - 1, 20)) * (1 + random.next() * 0.1);
      await folder.putAttempts({ failures, notBefore: clock.wallNow() + pauseMs });
      orders?.with({ result: "failed" }).add();
      log.error(
        { err: cause, hosts: options.hosts, failures, nextInSeconds: Math.round(pauseMs / 1000) },
        "no certificate was issued; what there is goes on",
      );
      return false;
    } finally {
      cancel();
    }
  };
  const renew = async (): Promise<boolean> => {
    if (isAtIt || !(await isTime())) return false;
    isAtIt = true;
    try {
      return (await folder.alone(order)) ?? false;
    } finally {
      isAtIt = false;
    }
  };
  return {
    certificateFile: folder.certificateFile,
    challenge: folder.challenge,
    renew,
    start(onRenewed) {
      const look = (): void => {
        renew()
          .then((isNew) => (isNew ? onRenewed() : undefined))
          .catch((cause) => log.error({ err: cause }, "certificates could not be looked after"));
      };
      leaving = new AbortController();
      look();
      stopLooking();
      stopLooking = clock.every(lookEveryMs, look);
    },
    stop() {
      stopLooking();
      leaving.abort();
    },
  };
}

async function loadClient(): Promise<AcmeClient> {
  try {
    return await import("acme-client");
  } catch (cause) {
    throw wrongGateway(
      "ACME_CLIENT_MISSING",
      'gateway: tls.acme: the package "acme-client" is not there; install it (npm install acme-client).',
      cause,
    );
  }
}

/** Whether a certificate is missing, for other names, or two thirds through its life. */
function isDue(pem: string | undefined, hosts: readonly string[], now: number, share: number): boolean {
  if (pem === undefined) return true;
  try {
    const leaf = new X509Certificate(pem);
    const from = Date.parse(leaf.validFrom);
    const to = Date.parse(leaf.validTo);
    return now >= from + (to - from) * share || !hosts.every((host) => leaf.checkHost(host) !== undefined);
  } catch {
    return true;
  }
}

const hostPattern = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/;

function checkAcme({ hosts, termsAgreed, directory }: AcmeOptions): void {
  const problems: string[] = [];
  if (!Array.isArray(hosts) || hosts.length === 0 || hosts.length > 100) {
    problems.push("gateway: tls.acme.hosts: name 1 to 100 hosts.");
  } else {
    for (const host of hosts as readonly string[]) {
      if (!hostPattern.test(host)) {
        problems.push(
          `gateway: tls.acme.hosts: ${JSON.stringify(host)} is no full name of a host in small letters; wildcards are not possible.`,
        );
      }
    }
  }
  if (termsAgreed !== true) {
    problems.push("gateway: tls.acme.termsAgreed: read the authority's terms of service, and write true.");
  }
  if (directory !== undefined && !URL.canParse(directory)) {
    problems.push("gateway: tls.acme.directory: write the address of the authority's directory.");
  }
  if (problems.length > 0) throw wrongGateway("ACME_INVALID", problems);
}
