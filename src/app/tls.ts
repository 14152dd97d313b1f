import { join } from "node:path";
import type { Clock, Random } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { Acme, GatewayTls, HstsOptions, TlsOptions } from "../gateway/index.ts";
import { createAcme, createGatewayTls, createPlainServer, hstsValue } from "../gateway/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";
import type { App } from "./app.ts";
import type { Settings } from "./settings.ts";

export interface ProcessTls {
  /** For `createGateway`. */
  readonly options: EdgeTls;
  /** What listens or works beside the gateway. */
  readonly components: readonly Component[];
}

export interface EdgeTls {
  readonly tls?: GatewayTls;
  readonly requiresHttps?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TlsParts {
  readonly definition: App;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Reads the certificates. Throws StartError TLS_INVALID, HSTS_INVALID. */
export async function createProcessTls(parts: TlsParts): Promise<ProcessTls> {
  const { definition, settings, clock, log, metrics } = parts;
  const { tls: declared, trustedProxies } = definition.gateway;
  const given = pairsOf(settings);
  if (declared?.at === "proxy") {
    if (given) throw wrong('PLINTH_TLS_CERT is set, and gateway.tls says at: "proxy"; remove one of them.');
    if (!trustedProxies && !settings.trustedProxies) {
      throw wrong('gateway.tls says at: "proxy", and no proxy is trusted; declare gateway.trustedProxies.');
    }
    return { options: { requiresHttps: true, ...headersOf(declared.hsts) }, components: [] };
  }
  if (!declared && !given) return { options: {}, components: [] };
  const { hsts, at: _at, ...rest } = declared ?? {};
  const plainPort = settings.tlsPlainPort ?? rest.plainPort;
  const options: TlsOptions = { ...rest, ...given, ...(plainPort !== undefined && { plainPort }) };
  // Files that a setting names come from somebody else, who renews them.
  if (options.acme && !given) return withAcme({ ...options, acme: options.acme }, hsts, parts);
  const tls = await createGatewayTls(options, { clock, log, metrics });
  const components = plainPort === undefined ? [] : [plainComponent(settings.host, plainPort, log)];
  return { options: { tls, ...headersOf(hsts) }, components };
}

async function withAcme(
  options: TlsOptions & Required<Pick<TlsOptions, "acme">>,
  hsts: HstsOptions | false | undefined,
  { settings, clock, random, log, metrics }: TlsParts,
): Promise<ProcessTls> {
  if (options.certificate !== undefined || options.key !== undefined) {
    throw wrong("gateway: tls: it has acme and a certificate; keep one of them, and name others in tls.more.");
  }
  const { acme: declared, plainPort = 80 } = options;
  const folder = join(settings.dataFolder, "acme");
  const acme = await createAcme(declared, { folder, clock, random, log, metrics });
  const pair = { certificate: acme.certificateFile, key: acme.certificateFile };
  const tls = await createGatewayTls({ ...options, ...pair }, { clock, log, metrics, waits: true });
  return {
    options: { tls, ...headersOf(hsts) },
    components: [plainComponent(settings.host, plainPort, log, acme), acmeComponent(acme, tls)],
  };
}

function acmeComponent(acme: Acme, tls: GatewayTls): Component {
  return {
    name: "acme",
    needs: ["plain http"],
    // Not waited for: the authority asks for this host's port 80, which may lead here only once we are ready.
    start: () => acme.start(() => tls.check()),
    stop: () => acme.stop(),
  };
}

function plainComponent(host: string, port: number, log: Logger, acme?: Acme): Component {
  const server = createPlainServer({ host, port, challenge: acme?.challenge });
  return {
    name: "plain http",
    async start() {
      log.info({ port: (await server.start()).port }, "plain HTTP is refused on a port of its own");
    },
    stop: () => server.stop(),
  };
}

function headersOf(hsts: HstsOptions | false | undefined): Pick<EdgeTls, "headers"> {
  const value = hstsValue(hsts);
  return value === undefined ? {} : { headers: { "strict-transport-security": value } };
}

function pairsOf({ tlsCertificates, tlsKeys }: Settings): Pick<TlsOptions, "certificate" | "key" | "more"> | undefined {
  if (!tlsCertificates && !tlsKeys) return undefined;
  if (tlsCertificates?.length !== tlsKeys?.length) {
    throw wrong("PLINTH_TLS_CERT and PLINTH_TLS_KEY: write as many keys as certificates, in the same order.");
  }
  const pairs = (tlsCertificates ?? []).map((certificate, i) => ({ certificate, key: tlsKeys?.[i] as string }));
  const [first, ...more] = pairs;
  return first && { ...first, more };
}

const wrong = (problem: string): StartError => new StartError("TLS_INVALID", problem);
