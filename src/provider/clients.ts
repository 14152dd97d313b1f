import { createHash, timingSafeEqual } from "node:crypto";
import type { AllClientMetadata } from "oidc-provider";
import type { Random } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { ClientOptions, ProviderDefinition } from "./provider.ts";
import { clientProblems } from "./provider.ts";

/**
 * Clients: those that the app declares, and those that were added. Secrets of both live in the database as SHA-256: they
 * have 256 random bits, which nobody guesses. A secret is shown once, when it is made.
 */
export interface ClientStore {
  /** Undefined where there is none. */
  get(id: string): Promise<KnownClient | undefined>;
  list(): Promise<readonly KnownClient[]>;
  /** Answers its secret where it has one. Rejects with CLIENT_INVALID or CLIENT_EXISTS. */
  add(client: ClientOptions): Promise<string | undefined>;
  /** A new secret; the old ones hold for `overlapMs` more. Rejects with CLIENT_UNKNOWN or CLIENT_WITHOUT_SECRET. */
  rotate(id: string, overlapMs: number): Promise<string>;
  /** Only one that was added. Rejects with CLIENT_UNKNOWN or CLIENT_DECLARED. */
  remove(id: string): Promise<void>;
}

export interface KnownClient extends ClientOptions {
  /** By the app's code; otherwise added to its database. */
  readonly declared: boolean;
  /** Hashes of the secrets that hold now. */
  readonly secretHashes: readonly string[];
}

interface Row {
  readonly definition: ClientOptions | null;
  readonly hashes: readonly string[];
  readonly id: string;
}

export function createClientStore(
  database: Database,
  definition: Pick<ProviderDefinition, "clients" | "scopes">,
  random: Random,
): ClientStore {
  const declared = new Map(definition.clients.map((client) => [client.id, client]));
  const hashesOf = sql`coalesce((select array_agg(s.hash order by s.created_at desc) from client_secrets s
    where s.client = ids.id and coalesce(s.expires_at > clock_timestamp(), true)), '{}')`;
  const read = (ids: readonly string[]) => database.sql<Row>`
    select ids.id, c.definition, ${hashesOf} as hashes
    from unnest(${ids}::text[]) as ids (id) left join clients c on c.id = ids.id`;
  const toKnown = (row: Row): KnownClient | undefined => {
    const own = declared.get(row.id);
    const options = own ?? row.definition;
    return options ? { ...options, declared: own !== undefined, secretHashes: row.hashes } : undefined;
  };
  const require = async (id: string): Promise<KnownClient> => {
    const known = (await read([id])).map(toKnown)[0];
    if (known) return known;
    throw error("not_found", `There is no client "${id}".`, { reason: "CLIENT_UNKNOWN", executed: "no" });
  };
  const insertSecret = async (on: Pick<Database, "sql">, id: string): Promise<string> => {
    const secret = Buffer.from(random.fill(new Uint8Array(32))).toString("base64url");
    await on.sql`insert into client_secrets (client, hash) values (${id}, ${hashSecret(secret)})`;
    return secret;
  };

  return {
    get: async (id) => (await read([id])).map(toKnown)[0],
    async list() {
      const added = await database.sql<{ id: string }>`select id from clients order by id`;
      const rows = await read([...new Set([...declared.keys(), ...added.map(({ id }) => id)])]);
      return rows.flatMap((row) => toKnown(row) ?? []);
    },
    async add(client) {
      const problems = clientProblems(client, definition.scopes);
      if (problems.length > 0) {
        throw error("invalid_argument", problems.join("\n"), { reason: "CLIENT_INVALID", executed: "no" });
      }
      const { id } = client;
      return database.transaction(async (tx) => {
        const rows = declared.has(id)
          ? []
          : await tx.sql`
              insert into clients (id, definition) values (${id}, ${sql.json(client)})
              on conflict (id) do nothing returning 1 as one`;
        if (rows.length === 0) {
          throw error("already_exists", `There is a client "${id}".`, { reason: "CLIENT_EXISTS", executed: "no" });
        }
        return hasSecret(client) ? insertSecret(tx, id) : undefined;
      });
    },
    async rotate(id, overlapMs) {
      if (!hasSecret(await require(id))) {
        throw error("failed_precondition", `The client "${id}" has no secret: it could not keep one.`, {
          reason: "CLIENT_WITHOUT_SECRET",
          executed: "no",
        });
      }
      return database.transaction(async (tx) => {
        await tx.sql`
          update client_secrets set expires_at = least(coalesce(expires_at, 'infinity'),
            clock_timestamp() + ${overlapMs}::float8 * interval '1 ms')
          where client = ${id}`;
        await tx.sql`delete from client_secrets where expires_at <= clock_timestamp()`;
        return insertSecret(tx, id);
      });
    },
    async remove(id) {
      if ((await require(id)).declared) {
        throw error("failed_precondition", `The client "${id}" is declared by the app; take it out there.`, {
          reason: "CLIENT_DECLARED",
          executed: "no",
        });
      }
      await database.transaction(async (tx) => {
        await tx.sql`delete from clients where id = ${id}`;
        await tx.sql`delete from client_secrets where client = ${id}`;
      });
    },
  };
}

export function hasSecret({ kind }: Pick<ClientOptions, "kind">): boolean {
  return kind === "server" || kind === "machine";
}

/** A client as oidc-provider wants it described. In the place of the secret stand the hashes of those that hold. */
export function toMetadata(client: KnownClient, scopes: ProviderDefinition["scopes"]): AllClientMetadata {
  const { id, kind, name = id, redirectUris = [], signOutUris = [] } = client;
  const isMachine = kind === "machine";
  const own = client.scopes ?? (isMachine ? [] : [...scopes.keys()]);
  return {
    client_id: id,
    client_name: name,
    application_type: kind === "native" ? "native" : "web",
    redirect_uris: [...redirectUris],
    post_logout_redirect_uris: [...signOutUris],
    response_types: isMachine ? [] : ["code"],
    grant_types: isMachine ? ["client_credentials"] : ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: hasSecret(client) ? "client_secret_basic" : "none",
    id_token_signed_response_alg: "ES256",
    ...(!isMachine && { scope: "openid offline_access profile email" }),
    ...(hasSecret(client) && { client_secret: `sha256 ${client.secretHashes.join(" ")}` }),
    // Ours: what oidc-provider has no word for.
    plinth_scopes: own,
    plinth_asks: (client.thirdParty ?? false) || kind === "native",
  };
}

export const ownMetadata = ["plinth_scopes", "plinth_asks"] as const;

/** Whether `secret` is one of those whose hashes `toMetadata` wrote down. */
export function matchesSecret(kept: string | undefined, secret: string): boolean {
  const hash = Buffer.from(hashSecret(secret));
  let matches = false;
  for (const one of (kept ?? "").split(" ").slice(1)) {
    const known = Buffer.from(one);
    if (known.length === hash.length && timingSafeEqual(known, hash)) matches = true;
  }
  return matches;
}

function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}
