import { StartError } from "../base/index.ts";
import type { ClientKind, KnownClient } from "../provider/index.ts";
import { hasSecret } from "../provider/index.ts";
import type { ProviderTables } from "./provider-tables.ts";
import { durationOf, requireName, wordsIn } from "./provider-tables.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export interface ClientFlags {
  readonly kind: string | undefined;
  readonly name: string | undefined;
  readonly redirect: string | undefined;
  readonly "sign-out": string | undefined;
  readonly scope: string | undefined;
  readonly "third-party": boolean;
  readonly overlap: string | undefined;
  readonly json: boolean;
}

/** What `plinth clients TOPIC` does. */
export type ClientAction = (
  tables: ProviderTables,
  id: string | undefined,
  flags: ClientFlags,
  terminal: Terminal,
) => Promise<void>;

const kinds: readonly ClientKind[] = ["browser", "native", "server", "machine"];
const overlapDefault = "1d";

export const clientActions: Readonly<Record<string, ClientAction>> = {
  async add({ clients }, given, flags, terminal) {
    const id = requireName("clients add", given);
    const secret = await clients.add({
      id,
      kind: kindOf(flags.kind),
      ...(flags.name !== undefined && { name: flags.name }),
      ...(flags.redirect !== undefined && { redirectUris: wordsIn(flags.redirect) }),
      ...(flags["sign-out"] !== undefined && { signOutUris: wordsIn(flags["sign-out"]) }),
      ...(flags.scope !== undefined && { scopes: wordsIn(flags.scope) }),
      ...(flags["third-party"] && { thirdParty: true }),
    });
    tell(id, secret, flags, terminal);
  },

  async list({ clients }, _id, { json }, terminal) {
    const all = await clients.list();
    if (json) terminal.out.write(`${JSON.stringify(all.map(shown), null, 2)}\n`);
    else {
      const rows = all.map((client) => [
        client.id,
        client.kind,
        client.declared ? "by the app" : "added",
        hasSecret(client) ? String(client.secretHashes.length) : "-",
        (client.redirectUris ?? []).join(" ") || "-",
      ]);
      terminal.out.write(table(["ID", "KIND", "DECLARED", "SECRETS", "REDIRECTS"], rows, terminal.out));
    }
  },

  async rotate({ clients }, given, flags, terminal) {
    const id = requireName("clients rotate", given);
    const overlap = flags.overlap ?? overlapDefault;
    tell(id, await clients.rotate(id, durationOf("--overlap", overlap)), flags, terminal);
    terminal.err.write(`older secrets stay good for ${overlap}\n`);
  },

  async "rotate-keys"({ rotateSigningKey }, _id, _flags, terminal) {
    await rotateSigningKey();
    terminal.err.write("another key signs from now on; every gateway takes it up within a minute\n");
  },

  async remove({ clients }, given, _flags, terminal) {
    const id = requireName("clients remove", given);
    await clients.remove(id);
    terminal.err.write(`client ${id} is gone; tokens that it has end by themselves\n`);
  },
};

function kindOf(text: string | undefined): ClientKind {
  const kind = kinds.find((each) => each === text);
  if (kind) return kind;
  throw new StartError("CLIENT_KIND_WRONG", `clients add: --kind: write one of ${kinds.join(", ")}.`);
}

function tell(id: string, secret: string | undefined, { json }: ClientFlags, terminal: Terminal): void {
  if (json) terminal.out.write(`${JSON.stringify({ id, secret: secret ?? null }, null, 2)}\n`);
  else if (secret !== undefined) terminal.out.write(`${secret}\n`);
  terminal.err.write(
    secret === undefined
      ? `client ${id}; it has no secret, since it could not keep one\n`
      : `the secret of client ${id}; it is shown this once\n`,
  );
}

function shown({ secretHashes, ...client }: KnownClient): Record<string, unknown> {
  return { ...client, secrets: secretHashes.length };
}
