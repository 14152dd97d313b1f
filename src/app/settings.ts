import type { Environment, ReadOptions, SettingDescription, SettingsOf } from "../config/index.ts";
import {
  addresses,
  counts,
  describeSettings,
  duration,
  flag,
  integer,
  list,
  namedUrls,
  oneOf,
  optional,
  originsByName,
  port,
  ratio,
  readSettings,
  secret,
  size,
  text,
  url,
} from "../config/index.ts";
import { logLevels } from "../telemetry/index.ts";

/** Every setting of a process, by its environment variable. `plinth doctor` shows them with what is set. */
const spec = {
  mode: {
    variable: "NODE_ENV",
    setting: oneOf(["development", "test", "production"], {
      default: "development",
      description: "how strict to be: answers and calls inside the process are checked in development and test",
    }),
  },
  host: {
    variable: "HOST",
    setting: text({ default: "127.0.0.1", description: "where the gateway listens", example: "0.0.0.0" }),
  },
  port: { variable: "PORT", setting: port({ default: 8080, description: "the gateway's port" }) },
  managementHost: {
    variable: "PLINTH_MANAGEMENT_HOST",
    setting: text({ default: "127.0.0.1", description: "where probes and metrics are served", example: "0.0.0.0" }),
  },
  managementPort: {
    variable: "PLINTH_MANAGEMENT_PORT",
    setting: port({ default: 9090, description: "the port of probes and metrics; 0 takes a free one" }),
  },
  rpcHost: {
    variable: "PLINTH_RPC_HOST",
    setting: text({ default: "127.0.0.1", description: "where calls from other processes arrive", example: "0.0.0.0" }),
  },
  rpcPort: {
    variable: "PLINTH_RPC_PORT",
    setting: port({ default: 7000, description: "the port for calls from other processes" }),
  },
  rpcSecret: {
    variable: "PLINTH_RPC_SECRET",
    setting: optional(
      secret({ description: "what the processes of an app prove to each other; the same for all of them" }),
    ),
  },
  rpcCertificate: {
    variable: "PLINTH_RPC_CERT",
    setting: optional(
      text({
        description: "file with this process's certificate for mutual TLS between processes",
        example: "/etc/tls/tls.crt",
      }),
    ),
  },
  rpcKey: {
    variable: "PLINTH_RPC_KEY",
    setting: optional(text({ description: "file with the key of that certificate", example: "/etc/tls/tls.key" })),
  },
  rpcAuthority: {
    variable: "PLINTH_RPC_CA",
    setting: optional(
      text({ description: "file with the authority that signs those certificates", example: "/etc/tls/ca.crt" }),
    ),
  },
  addresses: {
    variable: "PLINTH_ADDRESSES",
    setting: optional(
      addresses({
        description: "where the other groups listen; unset, the cluster's names are used: <app>-<group>:7000",
      }),
    ),
  },
  databaseUrl: {
    variable: "DATABASE_URL",
    setting: optional(url({ description: "the database; unset, an embedded one in the data folder" })),
  },
  databaseReplicaUrls: {
    variable: "DATABASE_REPLICA_URLS",
    setting: optional(
      list(url({ description: "a replica" }), {
        description: "streaming replicas of the database, for reads that say so with db.read()",
        example: "postgres://app@replica-1:5432/shop,postgres://app@replica-2:5432/shop",
      }),
    ),
  },
  databaseShards: {
    variable: "DATABASE_SHARDS",
    setting: optional(
      namedUrls({
        description: 'more servers for databases that have "shardBy", by name; DATABASE_URL is the one called main',
      }),
    ),
  },
  cacheUrl: {
    variable: "CACHE_URL",
    setting: optional(url({ description: "the cache; unset, in the memory of each process" })),
  },
  limitsUrl: {
    variable: "LIMITS_URL",
    setting: optional(
      url({
        description:
          "what counts limits for all processes together; unset, the server of CACHE_URL where it can, else each process",
      }),
    ),
  },
  trustedProxies: {
    variable: "PLINTH_TRUSTED_PROXIES",
    setting: optional(
      list(text({ description: "an address or network" }), {
        description: "proxies that are believed when they say where a request comes from; or how many there are",
        example: "10.0.0.0/8,fd00::/8",
      }),
    ),
  },
  tlsCertificates: {
    variable: "PLINTH_TLS_CERT",
    setting: optional(
      list(text({ description: "a PEM file" }), {
        description: "certificates that the gateway shows, each for the names in it; with one, it speaks TLS only",
        example: "/etc/tls/tls.crt",
      }),
    ),
  },
  tlsKeys: {
    variable: "PLINTH_TLS_KEY",
    setting: optional(
      list(text({ description: "a PEM file" }), {
        description: "the keys of those certificates, in the same order",
        example: "/etc/tls/tls.key",
      }),
    ),
  },
  tlsPlainPort: {
    variable: "PLINTH_TLS_PLAIN_PORT",
    setting: optional(
      port({ description: "a port for plain HTTP beside TLS, where all is refused and ACME is answered; unset, none" }),
    ),
  },
  cacheNearBytes: {
    variable: "PLINTH_CACHE_NEAR",
    setting: size({
      default: 32 * 1024 * 1024,
      min: 0,
      max: 4 * 1024 ** 3,
      description: "memory of each process for copies of what an outside cache holds; 0 for none",
    }),
  },
  cacheNearMs: {
    variable: "PLINTH_CACHE_NEAR_TTL",
    setting: duration({
      default: 5_000,
      min: 1,
      max: 60_000,
      description: "how long such a copy is used at most, should nobody tell that it changed",
    }),
  },
  cacheFillsPerSecond: {
    variable: "PLINTH_CACHE_FILLS",
    setting: optional(
      integer({
        min: 1,
        max: 1_000_000,
        description: "loads into the cache of a service that begin in a second, in each process; unset, 64 at a time",
      }),
    ),
  },
  cacheSample: {
    variable: "PLINTH_CACHE_SAMPLE",
    setting: ratio({ default: 0, description: "the share of cache hits that is compared with the truth afterwards" }),
  },
  slowQueryMs: {
    variable: "PLINTH_SLOW_QUERY",
    setting: optional(
      duration({
        min: 1,
        max: 3_600_000,
        description: "statements that take as long are logged (unset: 100 ms in development, none otherwise)",
      }),
    ),
  },
  processes: {
    variable: "PLINTH_PROCESSES",
    setting: optional(
      counts({
        description:
          "how many processes of each group run, to check that the database has connections for all; unset, one",
      }),
    ),
  },
  eventRetentionMs: {
    variable: "PLINTH_EVENT_RETENTION",
    setting: duration({
      default: 7 * 86_400_000,
      min: 3_600_000,
      max: 366 * 86_400_000,
      description: "how long events are kept once delivered, to be replayed",
    }),
  },
  dataFolder: {
    variable: "PLINTH_DATA",
    setting: text({ default: ".plinth", description: "the folder of the embedded database and the development key" }),
  },
  tokenKey: {
    variable: "PLINTH_TOKEN_KEY",
    setting: optional(
      secret({
        description:
          "the private P-256 key (PEM or JWK) that signs the app's tokens; unset in development, one is kept in the data folder",
      }),
    ),
  },
  issuer: {
    variable: "PLINTH_ISSUER",
    setting: optional(
      text({
        description:
          "the issuer whose access tokens are taken, in the place of the app's own identity provider or of the one that the app declares",
        example: "https://login.example.com",
      }),
    ),
  },
  issuers: {
    variable: "PLINTH_ISSUERS",
    setting: optional(
      namedUrls({
        description: "the same where the app declares several, by their names",
        example: "staff=https://login.example.com partners=https://id.example.org",
      }),
    ),
  },
  audience: {
    variable: "PLINTH_AUDIENCE",
    setting: optional(
      text({
        description: "how that issuer calls the app: the audience of its tokens",
        example: "https://api.example.com",
      }),
    ),
  },
  publicUrl: {
    variable: "PLINTH_URL",
    setting: optional(
      text({
        description: "where clients reach the app, told to those that look for its issuers",
        example: "https://api.example.com",
      }),
    ),
  },
  issuerUrl: {
    variable: "PLINTH_ISSUER_URL",
    setting: optional(
      text({
        description:
          "where browsers and clients reach the app's own identity provider, its path included; unset, PLINTH_URL and its path, or in development the gateway's own address",
        example: "https://shop.example.com/auth",
      }),
    ),
  },
  providerSecret: {
    variable: "PLINTH_PROVIDER_SECRET",
    setting: optional(
      secret({
        description:
          "what the app's own identity provider signs cookies and seals its keys with, the same for all gateways; several are separated by spaces, the first is used for what is new; unset in development, one is kept in the data folder",
        lengthMin: 32,
      }),
    ),
  },
  migrateAtStart: {
    variable: "PLINTH_MIGRATE",
    setting: flag({ default: true, description: 'whether starting applies migrations; off, "plinth migrate" does' }),
  },
  logLevel: {
    variable: "PLINTH_LOG",
    setting: oneOf([...logLevels, "silent"], {
      default: "info",
      description: "the least important line that is logged",
    }),
  },
  accessLogSample: {
    variable: "PLINTH_ACCESS_LOG",
    setting: optional(
      ratio({
        description:
          "the share of ordinary requests that is logged (unset: each in development, 1 % otherwise); errors and slow ones always are",
      }),
    ),
  },
  traceSample: {
    variable: "PLINTH_TRACE",
    setting: ratio({ default: 0.01, description: "the share of new traces that is recorded" }),
  },
  upstreams: {
    variable: "PLINTH_UPSTREAMS",
    setting: optional(
      originsByName({
        description: "where the outside systems behind the gateway are; unset, where the app says",
      }),
    ),
  },
  gatewayFile: {
    variable: "PLINTH_GATEWAY_FILE",
    setting: optional(
      text({
        description:
          "a JSON file that changes targets, splits, mirrors, plans and maintenance of the gateway while it runs",
        example: "/etc/plinth/gateway.json",
      }),
    ),
  },
  graceMs: {
    variable: "PLINTH_GRACE_MS",
    setting: integer({
      default: 30_000,
      min: 1000,
      max: 600_000,
      description: "how long stopping may take before it is forced",
    }),
  },
} as const;

export type Settings = SettingsOf<typeof spec>;

/** Throws a StartError that lists every missing or wrong variable. */
export function readProcessSettings(environment: Environment, options: ReadOptions = {}): Settings {
  return readSettings(spec, environment, options);
}

export function describeProcessSettings(): readonly SettingDescription[] {
  return describeSettings(spec);
}
