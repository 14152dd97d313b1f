import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock, Random } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { ClientStore } from "./clients.ts";
import { createProviderDirectory, createProviderKeys } from "./directory.ts";
import type { Engine } from "./engine.ts";
import { createEngine } from "./engine.ts";
import type { SignInOutcome } from "./interaction.ts";
import { migrateProvider } from "./migrations.ts";
import type { Passwords } from "./passwords.ts";
import type { ProviderDefinition } from "./provider.ts";
import type { ProviderLog } from "./provider-log.ts";
import { createProviderSecret } from "./secret.ts";
import { createSignInLimits } from "./sign-in-limits.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { toPublicJwk } from "./signing-keys.ts";
import { createUpkeep } from "./upkeep.ts";
import type { UserStore } from "./users.ts";

/** The provider of one gateway process: what is mounted, and the keys by which its tokens are known. */
export interface IdentityProvider {
  readonly issuer: string;
  readonly audience: string;
  /** The public keys. It looks again, at most each second, so that a key of another process is found. */
  jwks(): Promise<PublicKeys>;
  /** Whether a token with this `grant_id` is not to be believed any more, although it has not ended. */
  isRevoked(grantId: string): Promise<boolean>;
  /** Called when something was revoked in this process. */
  onRevoked: (() => void) | undefined;
  readonly mounts: readonly ProviderMount[];
  readonly users: UserStore;
  readonly clients: ClientStore;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface PublicKeys {
  readonly keys: readonly Readonly<Record<string, string>>[];
}

export interface ProviderMount {
  readonly path: string;
  readonly handler: (req: IncomingMessage, res: ServerResponse) => Promise<void>;
}

export interface IdentityProviderOptions {
  readonly definition: ProviderDefinition;
  /** `https://shop.example.com/auth`: what tokens name, and where browsers and clients reach it. */
  readonly issuer: string;
  readonly audience: string;
  /** What people read of the app. */
  readonly title: string;
  /** The first is used for what is new, all for what comes back. */
  readonly secrets: readonly string[];
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: ProviderLog;
  /** Whether `start` brings the tables up to date. */
  readonly migrates: boolean;
  /** Who asks. Default: the other end of the connection. */
  readonly addressOf?: (req: IncomingMessage) => string;
  readonly passwords?: Passwords;
}

const lookEveryMs = 60_000;
const lookAgainMs = 1_000;
const sweepEveryMs = 600_000;
const sweepPiece = 1_000;

export function createIdentityProvider(options: IdentityProviderOptions): IdentityProvider {
  const { definition, database, clock, random, log, issuer, audience, title } = options;
  const secret = createProviderSecret(options.secrets, random);
  const { users, clients, artifacts } = createProviderDirectory(definition, database, random, {
    passwords: options.passwords,
    onRevoked: () => made.onRevoked?.(),
  });
  const limits = createSignInLimits(database);
  const keyStore = createProviderKeys(definition, database, secret);
  const parts = { definition, issuer, audience, title, secret, artifacts, clients, users, limits, log };
  const { addressOf = peerOf } = options;
  const onSignIn = (outcome: SignInOutcome) => log.info({ ...outcome }, "somebody signs in");
  let current: { readonly engine: Engine; readonly keys: SigningKeys } | undefined;
  let loading: Promise<SigningKeys> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;

  const load = async (): Promise<SigningKeys> => {
    const keys = await keyStore.load();
    lookedAt = clock.now();
    if (current === undefined || kidsOf(current.keys) !== kidsOf(keys)) {
      const engine = await createEngine({ ...parts, keys: keys.keys, addressOf, onSignIn });
      current = { engine, keys };
    }
    return keys;
  };
  const loadOnce = (): Promise<SigningKeys> => {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  };
  const upkeep = createUpkeep({
    clock,
    random,
    tasks: [
      { everyMs: lookEveryMs, run: async () => void (await loadOnce()) },
      { everyMs: sweepEveryMs, run: () => sweepAll([artifacts.sweep, limits.sweep]) },
    ],
    onError: (thrown) =>
      log.warn({ err: thrown }, "the identity provider could not look after its tables; it tries again"),
  });
  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    if (!current) await loadOnce();
    await (current as { engine: Engine }).engine.handle(req, res);
  };

  const made: IdentityProvider = {
    issuer,
    audience,
    users,
    clients,
    mounts: [
      { path: definition.path, handler: handle },
      // RFC 8414 puts the path of the issuer behind the well-known one.
      {
        path: `${metadataPath}${definition.path}`,
        async handler(req, res) {
          req.url = req.url === "/" ? metadataPath : "/not-found";
          await handle(req, res);
        },
      },
    ],
    isRevoked: artifacts.isRevoked,
    async jwks() {
      const isFresh = current !== undefined && clock.now() - lookedAt < lookAgainMs;
      const { keys } = isFresh ? (current as { keys: SigningKeys }).keys : await loadOnce();
      return { keys: keys.map(toPublicJwk) };
    },
    async start() {
      if (options.migrates) await migrateProvider(database);
      await loadOnce();
      upkeep.start();
    },
    stop: () => upkeep.stop(),
    onRevoked: undefined,
  };
  return made;
}

const metadataPath = "/.well-known/oauth-authorization-server";

function kidsOf({ keys }: SigningKeys): string {
  return keys.map(({ kid }) => kid).join(" ");
}

async function sweepAll(sweeps: readonly ((limit: number) => Promise<number>)[]): Promise<void> {
  for (const sweep of sweeps) while ((await sweep(sweepPiece)) === sweepPiece);
}

function peerOf(req: IncomingMessage): string {
  return req.socket.remoteAddress ?? "unknown";
}
