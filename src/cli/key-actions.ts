import type { App } from "../app/index.ts";
import { parseDuration, StartError, systemClock, systemRandom } from "../base/index.ts";
import type { ApiKeyRecord, ApiKeyStore, MadeApiKey } from "../identity/index.ts";
import { createApiKeyStore, identitySchema, migrateIdentity } from "../identity/index.ts";
import { withOwnDatabase } from "./own-database.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export interface KeyFlags {
  readonly subject: string | undefined;
  readonly name: string | undefined;
  readonly scope: string | undefined;
  readonly role: string | undefined;
  readonly plan: string | undefined;
  readonly tenant: string | undefined;
  readonly expires: string | undefined;
  readonly overlap: string | undefined;
  readonly json: boolean;
}

/** What `plinth keys TOPIC` does. */
export type KeyAction = (
  keys: ApiKeyStore,
  id: string | undefined,
  flags: KeyFlags,
  terminal: Terminal,
) => Promise<void>;

const overlapDefault = "24h";

export const keyActions: Readonly<Record<string, KeyAction>> = {
  async create(keys, _id, flags, terminal) {
    const { subject, name = "", plan, tenant } = flags;
    if (subject === undefined || subject === "")
      throw new StartError("KEY_SUBJECT_MISSING", "keys create: say who calls with it: --subject acme");
    const ttlMs = flags.expires === undefined ? undefined : durationOf("--expires", flags.expires, 60_000);
    const made = { subject, name, scopes: wordsOf(flags.scope), roles: wordsOf(flags.role), plan, tenant, ttlMs };
    show(await keys.create(made), flags, terminal);
  },

  async list(keys, _id, { json }, terminal) {
    const records = await keys.list();
    if (json) terminal.out.write(`${JSON.stringify(records.map(shown), null, 2)}\n`);
    else {
      const rows = records.map((each) => [
        each.id,
        each.subject,
        each.scopes.join(" ") || "-",
        each.plan ?? "-",
        stateOf(each),
        each.name,
      ]);
      terminal.out.write(table(["ID", "SUBJECT", "SCOPES", "PLAN", "STATE", "NAME"], rows, terminal.out));
    }
  },

  async rotate(keys, id, flags, terminal) {
    const overlap = flags.overlap ?? overlapDefault;
    const made = await keys.rotate(requireId("rotate", id), durationOf("--overlap", overlap, 0));
    show(made, flags, terminal);
    terminal.err.write(`the old key stays good for ${overlap}\n`);
  },

  async revoke(keys, id, _flags, terminal) {
    await keys.revoke(requireId("revoke", id));
    terminal.err.write("it is taken back; every gateway refuses it within 5 s\n");
  },
};

/** StartError KEY_PLAN_UNKNOWN: the key would have the limits of those who have no plan, and nobody would notice. */
export function checkKeyPlan({ gateway: { plans = {} } }: App, { plan }: KeyFlags): void {
  const names = Object.keys(plans);
  if (plan === undefined || names.length === 0 || names.includes(plan)) return;
  throw new StartError("KEY_PLAN_UNKNOWN", `--plan ${plan}: there is no such plan; there are ${names.join(", ")}.`);
}

/** Runs with the keys of an app, in its database, and closes that whatever happens. StartError API_KEYS_ABSENT. */
export async function withKeys(app: App, terminal: Terminal, run: (keys: ApiKeyStore) => Promise<void>): Promise<void> {
  const { apiKeys } = app.gateway.identity ?? {};
  if (!apiKeys) {
    throw new StartError(
      "API_KEYS_ABSENT",
      `"${app.name}" takes no API keys; declare them: app({ gateway: { identity: { apiKeys: apiKeys() } } })`,
    );
  }
  await withOwnDatabase(app, terminal, identitySchema, async (own) => {
    await migrateIdentity(own);
    await run(createApiKeyStore({ database: own, clock: systemClock, random: systemRandom, prefix: apiKeys.prefix }));
  });
}

function show({ key, record }: MadeApiKey, { json }: KeyFlags, terminal: Terminal): void {
  if (json) terminal.out.write(`${JSON.stringify({ key, ...shown(record) }, null, 2)}\n`);
  else terminal.out.write(`${key}\n`);
  terminal.err.write(`key ${record.id} of ${record.subject}; it is shown this once\n`);
}

/** Without its hash, and with times that people read. */
function shown({ hash: _hash, ...record }: ApiKeyRecord): Record<string, unknown> {
  const time = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    ...record,
    plan: record.plan ?? null,
    tenant: record.tenant ?? null,
    successor: record.successor ?? null,
    createdAt: time(record.createdAt),
    expiresAt: time(record.expiresAt),
    revokedAt: time(record.revokedAt),
  };
}

function stateOf({ revokedAt, expiresAt, successor }: ApiKeyRecord): string {
  if (revokedAt !== undefined) return "revoked";
  if (expiresAt === undefined) return "good";
  if (expiresAt <= systemClock.wallNow()) return "ended";
  return `${successor === undefined ? "good" : "rotated"} until ${new Date(expiresAt).toISOString()}`;
}

function wordsOf(text: string | undefined): string[] {
  return (text ?? "").split(/[ ,]+/).filter((word) => word !== "");
}

function durationOf(flag: string, text: string, minMs: number): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= minMs) return ms;
  throw new StartError(
    "KEY_DURATION_WRONG",
    `${flag}: write a duration such as "90d"; ${JSON.stringify(text)} is none.`,
  );
}

function requireId(topic: string, id: string | undefined): string {
  if (id !== undefined) return id;
  throw new StartError("KEY_ID_MISSING", `keys ${topic}: say which one, by its ID; "plinth keys list" shows them.`);
}
