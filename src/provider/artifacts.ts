import { createHash } from "node:crypto";
import type { Adapter, AdapterPayload } from "oidc-provider";
import type { Database } from "../database/index.ts";
import { sql } from "../database/index.ts";

/**
 * What oidc-provider keeps, in the app's database. Whoever reads the table gets nothing to sign in with: ids are hashed,
 * and the payload is kept without them. Time is the database's.
 *
 * Codes and refresh tokens are used up by one conditional statement. Of two who come at once the second is found out,
 * although it read the row before the first had marked it, and ends everything that came of the sign-in.
 */
export interface ArtifactStore {
  /** For one kind of them. `reused` makes the error for whoever uses something a second time. */
  adapter(model: string, reused: () => Error): Adapter;
  /** Ends everything that came of a sign-in, its access tokens as well: see `isRevoked`. */
  revokeGrant(grantId: string): Promise<void>;
  /** Ends every session and every sign-in of a user. */
  revokeAccount(account: string): Promise<void>;
  /** Whether access tokens of this grant are not to be believed any more. */
  isRevoked(grantId: string): Promise<boolean>;
  /** Deletes up to `limit` that have expired. Answers how many. */
  sweep(limit: number): Promise<number>;
}

/** `accessTokenMs`: how long it must be remembered that a grant was revoked. `onRevoked` is called after each time. */
export function createArtifactStore(
  database: Database,
  accessTokenMs: number,
  onRevoked: () => void = () => {},
): ArtifactStore {
  const note = sql`insert into revoked_grants (grant_id, expires_at)
    select distinct gone.grant_id, clock_timestamp() + ${accessTokenMs}::float8 * interval '1 ms'
    from gone where gone.grant_id is not null on conflict (grant_id) do nothing`;
  const revokeGrant = async (grantId: string): Promise<void> => {
    await database.sql`with gone as (delete from artifacts where grant_id = ${grantId} returning grant_id) ${note}`;
    onRevoked();
  };
  return {
    revokeGrant,
    adapter: (model, reused) => createAdapter(database, model, { reused, revokeGrant }),
    async revokeAccount(account) {
      await database.sql`with gone as (delete from artifacts where account = ${account} returning grant_id) ${note}`;
      onRevoked();
    },
    async isRevoked(grantId) {
      const rows = await database.sql`
        select 1 as one from revoked_grants where grant_id = ${grantId} and expires_at > clock_timestamp()`;
      return rows.length > 0;
    },
    async sweep(limit) {
      const [artifacts, grants] = await Promise.all(
        ["artifacts", "revoked_grants"].map(
          (table) => database.sql`
            delete from ${sql.id(table)} where ctid in (
              select ctid from ${sql.id(table)} where expires_at <= clock_timestamp() limit ${limit}::int
              for update skip locked
            ) returning 1 as one`,
        ),
      );
      return Math.max(artifacts?.length ?? 0, grants?.length ?? 0);
    },
  };
}

interface Row {
  readonly payload: AdapterPayload;
  readonly consumed: number | null;
}

/** What has no end of its own ends after a year; nothing that this provider issues is such a thing. */
const expiresInDefault = 365 * 86_400;

function createAdapter(
  database: Database,
  model: string,
  { reused, revokeGrant }: { reused: () => Error; revokeGrant: (grantId: string) => Promise<void> },
): Adapter {
  const found = ([row]: Row[], id: string | undefined): AdapterPayload | undefined =>
    row && {
      ...row.payload,
      ...(id !== undefined && { jti: id }),
      ...(row.consumed !== null && { consumed: row.consumed }),
    };
  return {
    async upsert(id, payload, expiresIn = expiresInDefault) {
      const { jti: _id, ...kept } = withoutSessionId(payload);
      // A grant belongs to itself, so that it goes with what came of it.
      const grantId = model === "Grant" ? id : (payload.grantId ?? null);
      await database.sql`
        insert into artifacts as a (model, id, payload, grant_id, uid, account, expires_at)
        values (${model}, ${hash(id)}, ${kept}, ${grantId}, ${payload.uid ?? null}, ${payload.accountId ?? null},
          clock_timestamp() + ${expiresIn}::float8 * interval '1 s')
        on conflict (model, id) do update set payload = excluded.payload, grant_id = excluded.grant_id,
          uid = excluded.uid, account = excluded.account, expires_at = excluded.expires_at`;
    },
    async find(id) {
      return found(
        await database.sql<Row>`
          select payload, floor(extract(epoch from consumed_at))::float8 as consumed from artifacts
          where model = ${model} and id = ${hash(id)} and expires_at > clock_timestamp()`,
        id,
      );
    },
    async findByUid(uid) {
      return found(
        await database.sql<Row>`
          select payload, floor(extract(epoch from consumed_at))::float8 as consumed from artifacts
          where model = ${model} and uid = ${uid} and expires_at > clock_timestamp()`,
        undefined,
      );
    },
    async findByUserCode() {
      return undefined;
    },
    async consume(id) {
      const [row] = await database.sql`
        update artifacts set consumed_at = clock_timestamp()
        where model = ${model} and id = ${hash(id)} and consumed_at is null returning 1 as one`;
      if (row) return;
      const [used] = await database.sql<{ grant_id: string | null }>`
        select grant_id from artifacts where model = ${model} and id = ${hash(id)}`;
      if (used?.grant_id) await revokeGrant(used.grant_id);
      throw reused();
    },
    async destroy(id) {
      if (model === "Grant") return revokeGrant(id);
      await database.sql`delete from artifacts where model = ${model} and id = ${hash(id)}`;
    },
    async revokeByGrantId(grantId) {
      await database.sql`delete from artifacts where model = ${model} and grant_id = ${grantId}`;
    },
  };
}

/** An interaction names the session that it began in by its id, which nobody asks for: its `uid` is enough. */
function withoutSessionId(payload: AdapterPayload): AdapterPayload {
  const session: unknown = payload.session;
  if (typeof session !== "object" || session === null || !("cookie" in session)) return payload;
  const { cookie: _cookie, ...rest } = session;
  return { ...payload, session: rest as NonNullable<AdapterPayload["session"]> };
}

/** Ids have 256 random bits: nothing slower is needed. */
function hash(id: string): string {
  return createHash("sha256").update(id).digest("base64url");
}
