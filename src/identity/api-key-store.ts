import type { Clock, Random } from "../base/index.ts";
import type { Database, Migration } from "../database/index.ts";
import { migrate } from "../database/index.ts";
import { hashOfApiKey, newApiKey } from "./api-key.ts";
import { wrongIdentity } from "./errors.ts";

/** A key as it is kept: everything but itself. */
export interface ApiKeyRecord {
  readonly id: string;
  /** SHA-256 of the whole key, base64url. */
  readonly hash: string;
  /** What it is called, by whoever made it. */
  readonly name: string;
  /** Who calls with it. */
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly plan: string | undefined;
  readonly tenant: string | undefined;
  /** `clock.wallNow()` milliseconds, as the next two. */
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
  readonly revokedAt: number | undefined;
  /** The key that takes its place, when it was rotated. */
  readonly successor: string | undefined;
}

export interface NewApiKey {
  readonly subject: string;
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly roles?: readonly string[];
  readonly plan?: string | undefined;
  readonly tenant?: string | undefined;
  /** Default: it does not end by itself. */
  readonly ttlMs?: number | undefined;
}

/** A new key. It is shown this once. */
export interface MadeApiKey {
  readonly key: string;
  readonly record: ApiKeyRecord;
}

/** The API keys of an app, in a schema of their own in its database. */
export interface ApiKeyStore {
  create(key: NewApiKey): Promise<MadeApiKey>;
  find(id: string): Promise<ApiKeyRecord | undefined>;
  /** The newest first, at most 1,000. */
  list(): Promise<readonly ApiKeyRecord[]>;
  /** A new key for the same caller. The old one stays good for `overlapMs`. Throws StartError API_KEY_UNKNOWN. */
  rotate(id: string, overlapMs: number): Promise<MadeApiKey>;
  /** Throws StartError API_KEY_UNKNOWN. Repeating it is harmless. */
  revoke(id: string): Promise<void>;
}

export const identitySchema = "plinth_identity";

export const identityMigrations: readonly Migration[] = [
  {
    name: "0001-api-keys",
    sql: `
create table api_keys (
  id text primary key,
  -- Of the key as it was shown once; the key itself is nowhere.
  hash text not null,
  name text not null,
  subject text not null,
  scopes text[] not null default '{}',
  roles text[] not null default '{}',
  plan text,
  tenant text,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  successor text
);
create index api_keys_created on api_keys (created_at desc);
`,
  },
];

export async function migrateIdentity(database: Database): Promise<void> {
  await migrate(database, identityMigrations);
}

interface Row {
  readonly id: string;
  readonly hash: string;
  readonly name: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly plan: string | null;
  readonly tenant: string | null;
  /** ISO times. */
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly successor: string | null;
}

export interface ApiKeyStoreOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  /** What keys begin with. Default "plk". */
  readonly prefix?: string | undefined;
}

export function createApiKeyStore({ database, clock, random, prefix }: ApiKeyStoreOptions): ApiKeyStore {
  const insert = async (sql: Database["sql"], made: NewApiKey, expiresAt: number | undefined): Promise<MadeApiKey> => {
    const { id, text } = newApiKey(random, prefix);
    const { subject, name = "", scopes = [], roles = [], plan, tenant } = made;
    const createdAt = clock.wallNow();
    const hash = hashOfApiKey(text);
    await sql`insert into api_keys (id, hash, name, subject, scopes, roles, plan, tenant, created_at, expires_at)
      values (${id}, ${hash}, ${name}, ${subject}, ${scopes}, ${roles}, ${plan ?? null}, ${tenant ?? null},
        ${new Date(createdAt)}, ${expiresAt === undefined ? null : new Date(expiresAt)})`;
    const never = { revokedAt: undefined, successor: undefined };
    const record = { id, hash, name, subject, scopes, roles, plan, tenant, createdAt, expiresAt, ...never };
    return { key: text, record };
  };
  return {
    create(made) {
      const { ttlMs } = made;
      return insert(database.sql.bind(database), made, ttlMs === undefined ? undefined : clock.wallNow() + ttlMs);
    },
    async find(id) {
      const [row] = await database.sql<Row>`select * from api_keys where id = ${id}`;
      return row && recordOf(row);
    },
    async list() {
      return (await database.sql<Row>`select * from api_keys order by created_at desc, id limit 1000`).map(recordOf);
    },
    rotate(id, overlapMs) {
      return database.transaction(async (tx) => {
        const [row] = await tx.sql<Row>`select * from api_keys where id = ${id} for update`;
        if (!row || row.revoked_at) throw apiKeyUnknown(id, "that could be rotated");
        const old = recordOf(row);
        const until = clock.wallNow() + overlapMs;
        // The new one lives as long as the old one did.
        const life = old.expiresAt === undefined ? undefined : clock.wallNow() + (old.expiresAt - old.createdAt);
        const made = await insert(tx.sql.bind(tx), old, life);
        const end = new Date(Math.min(until, old.expiresAt ?? until));
        await tx.sql`update api_keys set expires_at = ${end}, successor = ${made.record.id} where id = ${id}`;
        return made;
      });
    },
    async revoke(id) {
      const at = new Date(clock.wallNow());
      const rows =
        await database.sql`update api_keys set revoked_at = coalesce(revoked_at, ${at}) where id = ${id} returning id`;
      if (rows.length === 0) throw apiKeyUnknown(id, "");
    },
  };
}

function recordOf(row: Row): ApiKeyRecord {
  const { id, hash, name, subject, scopes, roles } = row;
  return {
    id,
    hash,
    name,
    subject,
    scopes,
    roles,
    plan: row.plan ?? undefined,
    tenant: row.tenant ?? undefined,
    createdAt: Date.parse(row.created_at),
    expiresAt: row.expires_at === null ? undefined : Date.parse(row.expires_at),
    revokedAt: row.revoked_at === null ? undefined : Date.parse(row.revoked_at),
    successor: row.successor ?? undefined,
  };
}

const apiKeyUnknown = (id: string, which: string) =>
  wrongIdentity("API_KEY_UNKNOWN", `There is no key ${JSON.stringify(id)} ${which}; "plinth keys list" shows them.`);
