import { StartError, systemRandom } from "../base/index.ts";
import type { User } from "../provider/index.ts";
import type { ProviderTables } from "./provider-tables.ts";
import { requireName, wordsIn } from "./provider-tables.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export interface UserFlags {
  readonly email: string | undefined;
  readonly display: string | undefined;
  readonly role: string | undefined;
  readonly scope: string | undefined;
  readonly stdin: boolean;
  readonly json: boolean;
}

/** What `plinth users TOPIC` does. */
export type UserAction = (
  tables: ProviderTables,
  name: string | undefined,
  flags: UserFlags,
  terminal: Terminal,
) => Promise<void>;

export const userActions: Readonly<Record<string, UserAction>> = {
  async add({ users, definition }, name, flags, terminal) {
    const scopes = wordsIn(flags.scope);
    const unknown = scopes.find((scope) => !definition.scopes.has(scope));
    if (unknown !== undefined) {
      const known = [...definition.scopes.keys()].join(", ");
      throw new StartError(
        "SCOPE_UNKNOWN",
        `--scope ${unknown}: the provider declares no such scope; ${known === "" ? "it declares none" : `there are ${known}`}.`,
      );
    }
    const { password, isMade } = await passwordFrom(flags, terminal);
    const user = await users.add({
      name: requireName("users add", name),
      password,
      displayName: flags.display,
      email: flags.email,
      roles: wordsIn(flags.role),
      scopes,
    });
    tell(user, isMade ? password : undefined, flags, terminal);
  },

  async list({ users }, _name, { json }, terminal) {
    const all = await users.list();
    if (json) terminal.out.write(`${JSON.stringify(all.map(shown), null, 2)}\n`);
    else {
      const rows = all.map((user) => [
        user.name,
        user.isDisabled ? "disabled" : "active",
        user.roles.join(" ") || "-",
        user.scopes.join(" ") || "-",
        user.id,
      ]);
      terminal.out.write(table(["NAME", "STATE", "ROLES", "SCOPES", "SUBJECT"], rows, terminal.out));
    }
  },

  async password({ users }, name, flags, terminal) {
    const { password, isMade } = await passwordFrom(flags, terminal);
    const user = await users.setPassword(requireName("users password", name), password);
    tell(user, isMade ? password : undefined, flags, terminal);
    terminal.err.write("wherever this user was signed in, that is over\n");
  },

  async disable({ users }, name, _flags, terminal) {
    const user = await users.setDisabled(requireName("users disable", name), true);
    terminal.err.write(
      `${user.name} is disabled, and signed in nowhere; every gateway refuses the tokens within 5 s\n`,
    );
  },

  async enable({ users }, name, _flags, terminal) {
    const user = await users.setDisabled(requireName("users enable", name), false);
    terminal.err.write(`${user.name} can sign in again\n`);
  },
};

/** On standard input, or made here: never on the command line, which others can see. */
async function passwordFrom({ stdin }: UserFlags, terminal: Terminal) {
  if (stdin) return { password: (await terminal.read()).replace(/\r?\n$/, ""), isMade: false };
  const bytes = Buffer.from(systemRandom.fill(new Uint8Array(15)));
  return { password: bytes.toString("base64url"), isMade: true };
}

function tell(user: User, password: string | undefined, { json }: UserFlags, terminal: Terminal): void {
  if (json) terminal.out.write(`${JSON.stringify({ ...shown(user), password: password ?? null }, null, 2)}\n`);
  else if (password !== undefined) terminal.out.write(`${password}\n`);
  terminal.err.write(
    password === undefined ? `user ${user.name}\n` : `the password of user ${user.name}; it is shown this once\n`,
  );
}

function shown(user: User): Record<string, unknown> {
  return { ...user, email: user.email ?? null };
}
