import { once } from "node:events";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { newId, StartError, systemClock, systemRandom } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import pglite from "../engines/pglite/index.ts";
import postgres from "../engines/postgres/index.ts";
import type { IdentityProvider } from "./identity-provider.ts";
import { createIdentityProvider } from "./identity-provider.ts";
import { createPasswords } from "./passwords.ts";
import type { ProviderOptions } from "./provider.ts";
import { provider } from "./provider.ts";

/** A provider on a port of its own, mounted as the gateway mounts it. */
export interface RunningProvider {
  readonly issuer: string;
  readonly origin: string;
  readonly provider: IdentityProvider;
  /** What was logged. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

export interface RunOptions extends ProviderOptions {
  readonly driver: DatabaseDriver;
  readonly schema?: string;
  readonly secrets?: readonly string[];
  /** What people and clients reach, where that is not the server itself. */
  readonly issuer?: string;
}

export const secretForTests = "a secret for tests alone, long enough";
/** RFC 7636, appendix B. */
export const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
export const challenge = {
  code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
  code_challenge_method: "S256",
};
export const callback = "http://127.0.0.1:47019/callback";

export async function startProvider({
  driver,
  schema = newSchema(),
  secrets,
  issuer,
  ...options
}: RunOptions): Promise<RunningProvider> {
  const lines: string[] = [];
  const say = (fields: Readonly<Record<string, unknown>>, text: string) =>
    void lines.push(
      `${text} ${JSON.stringify(fields, (_key, value) => (value instanceof Error ? String(value.stack) : value))}`,
    );
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const definition = provider(options);
  const made = createIdentityProvider({
    definition,
    issuer: issuer ?? `${origin}${definition.path}`,
    audience: definition.audience ?? "tests",
    title: "Tests",
    secrets: secrets ?? [secretForTests],
    database: createDatabase({ driver, schema }),
    clock: systemClock,
    random: systemRandom,
    log: { info: say, warn: say, error: say },
    migrates: true,
    // What an attack costs is not the point of most tests.
    passwords: createPasswords({ cost: { ln: 10, r: 8, p: 1 } }),
  });
  serve(server, made);
  await made.start();
  return {
    issuer: made.issuer,
    origin,
    provider: made,
    lines,
    async stop() {
      await made.stop();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function serve(server: Server, { mounts }: IdentityProvider): void {
  server.on("request", (req, res) => {
    const mount = mounts.find(({ path }) => req.url?.startsWith(path));
    if (!mount) {
      res.writeHead(404).end();
      return;
    }
    const rest = (req.url as string).slice(mount.path.length);
    req.url = rest.startsWith("/") ? rest : `/${rest}`;
    mount.handler(req, res).catch((thrown: unknown) => {
      res.writeHead(500).end(String(thrown));
    });
  });
}

export function newSchema(): string {
  return `provider_${newId().replaceAll("-", "")}`;
}

const postgresUrl = process.env.PLINTH_TEST_POSTGRES_URL;

/** The same cases on each. */
export const engines = {
  embedded: { name: "PGlite", skip: false, open: () => opened(pglite.ports.database, `pglite:memory:${newId()}`) },
  postgres: {
    name: "Postgres",
    skip: postgresUrl ? false : "PLINTH_TEST_POSTGRES_URL is not set",
    open: () => opened(postgres.ports.database, postgresUrl ?? ""),
  },
} as const;

function opened(open: typeof pglite.ports.database, url: string): DatabaseDriver {
  if (!open) throw new Error("this engine has no database");
  return open(new URL(url));
}

export async function dropSchema(driver: DatabaseDriver, schema: string): Promise<void> {
  await createDatabase({ driver, schema: "public" }).execute(sql`drop schema if exists ${sql.id(schema)} cascade`);
}

export function isStartError(reason: string) {
  return (thrown: unknown): boolean => thrown instanceof StartError && thrown.reason === reason;
}
