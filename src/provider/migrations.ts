import type { Database, Migration } from "../database/index.ts";
import { migrate } from "../database/index.ts";

/** The tables of the identity provider, in a schema of its own. Additive: an older version may run beside a newer one. */
const base = `
-- Sessions, codes, refresh tokens, grants, interactions: whatever oidc-provider keeps. Ids that let somebody in are hashes.
create table artifacts (
  model text not null,
  id text not null,
  payload json not null,
  grant_id text,
  uid text,
  account text,
  consumed_at timestamptz,
  expires_at timestamptz not null,
  primary key (model, id)
);
create index artifacts_grant on artifacts (grant_id) where grant_id is not null;
create index artifacts_uid on artifacts (model, uid) where uid is not null;
create index artifacts_account on artifacts (account) where account is not null;
create index artifacts_expires on artifacts (expires_at);

create table users (
  id text primary key,
  -- As it is typed, in small letters.
  name text not null unique,
  password text,
  display_name text not null,
  email text,
  roles text[] not null default '{}',
  scopes text[] not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  password_at timestamptz not null default clock_timestamp(),
  disabled_at timestamptz
);

-- Clients that were added to those that the app declares.
create table clients (
  id text primary key,
  definition json not null,
  created_at timestamptz not null default clock_timestamp()
);

-- Of both kinds of clients. Several may hold at once, to change one without a stop.
create table client_secrets (
  client text not null,
  hash text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  primary key (client, hash)
);

create table signing_keys (
  kid text primary key,
  -- The private key, sealed with the provider's secret.
  sealed text not null,
  created_at timestamptz not null default clock_timestamp(),
  signs_from timestamptz not null,
  signs_until timestamptz not null,
  published_until timestamptz not null
);

-- One row for each account and each address that somebody tried to sign in with: until when its allowance is used up.
create table sign_in_limits (
  key text primary key,
  used_until timestamptz not null
);
create index sign_in_limits_used on sign_in_limits (used_until);

-- Grants whose access tokens have not ended yet.
create table revoked_grants (
  grant_id text primary key,
  revoked_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
create index revoked_grants_revoked on revoked_grants (revoked_at);
`;

export const providerSchema = "plinth_provider";

export const providerMigrations: readonly Migration[] = [{ name: "0001-provider", sql: base }];

/** The name under which they are recorded. */
export const providerMigrationSet = "provider";

export async function migrateProvider(database: Database): Promise<void> {
  await migrate(database, providerMigrations, { set: providerMigrationSet, ahead: "allow" });
}
