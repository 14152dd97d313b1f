import { error, newId } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { Passwords } from "./passwords.ts";
import { passwordLength } from "./passwords.ts";

/** People who can sign in. A name is theirs in small letters, whoever asks for it in what case. */
export interface UserStore {
  /** Rejects with USER_EXISTS, USER_INVALID, PASSWORD_INVALID. */
  add(user: NewUser): Promise<User>;
  list(): Promise<readonly User[]>;
  find(id: string): Promise<User | undefined>;
  findByName(name: string): Promise<User | undefined>;
  /** Ends what the user was signed in to. Rejects with USER_UNKNOWN, PASSWORD_INVALID. */
  setPassword(name: string, password: string): Promise<User>;
  /** A user who is disabled cannot sign in, and is signed in nowhere. Rejects with USER_UNKNOWN. */
  setDisabled(name: string, isDisabled: boolean): Promise<User>;
  /** The user whose password it is. Takes as long when there is none. */
  signIn(name: string, password: string): Promise<User | undefined>;
}

export interface NewUser {
  /** What they type to sign in: 1 to 254 characters without spaces, such as an address. */
  readonly name: string;
  readonly password: string;
  /** What others read. Default: the name. */
  readonly displayName?: string | undefined;
  readonly email?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  /** What their tokens may allow, besides the scopes for everyone. */
  readonly scopes?: readonly string[] | undefined;
}

export interface User {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly email: string | undefined;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly isDisabled: boolean;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly display_name: string;
  readonly email: string | null;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly created_at: string;
  readonly disabled_at: string | null;
  readonly password: string | null;
}

const namePattern = /^[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~@-]{1,254}$/u;
const linePattern = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u;

/** `endAll` ends every session of a user. */
export function createUserStore(
  database: Database,
  passwords: Passwords,
  endAll: (id: string) => Promise<void>,
): UserStore {
  const changed = ([row]: Row[], name: string): User => {
    if (row) return toUser(row);
    throw error("not_found", `There is no user "${name}".`, { reason: "USER_UNKNOWN", executed: "no" });
  };
  return {
    async add({ name, password, displayName = name, email, roles = [], scopes = [] }) {
      if (!namePattern.test(name)) throw invalid("a name has 1 to 254 letters, digits and signs, without spaces");
      if (!linePattern.test(displayName)) throw invalid("what others read has 1 to 200 characters on one line");
      if (email !== undefined && !/^[^\s@]+@[^\s@]+$/.test(email)) throw invalid(`"${email}" is no address`);
      const wrong = [...roles, ...scopes].find((each) => !/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(each));
      if (wrong !== undefined) throw invalid(`"${wrong}" is neither role nor scope`);
      const hash = await passwords.hash(checkPassword(password));
      const [row] = await database.sql<Row>`
        insert into users (id, name, password, display_name, email, roles, scopes)
        values (${newId()}, ${key(name)}, ${hash}, ${displayName}, ${email ?? null}, ${roles}, ${scopes})
        on conflict (name) do nothing returning *`;
      if (row) return toUser(row);
      throw error("already_exists", `There is a user "${name}".`, { reason: "USER_EXISTS", executed: "no" });
    },
    async list() {
      return (await database.sql<Row>`select * from users order by name`).map(toUser);
    },
    async find(id) {
      return (await database.sql<Row>`select * from users where id = ${id}`).map(toUser)[0];
    },
    async findByName(name) {
      return (await database.sql<Row>`select * from users where name = ${key(name)}`).map(toUser)[0];
    },
    async setPassword(name, password) {
      const hash = await passwords.hash(checkPassword(password));
      const rows = await database.sql<Row>`
        update users set password = ${hash}, password_at = clock_timestamp() where name = ${key(name)} returning *`;
      const user = changed(rows, name);
      await endAll(user.id);
      return user;
    },
    async setDisabled(name, isDisabled) {
      const rows = isDisabled
        ? await database.sql<Row>`
            update users set disabled_at = coalesce(disabled_at, clock_timestamp()) where name = ${key(name)} returning *`
        : await database.sql<Row>`update users set disabled_at = null where name = ${key(name)} returning *`;
      const user = changed(rows, name);
      if (isDisabled) await endAll(user.id);
      return user;
    },
    async signIn(name, password) {
      const [row] = await database.sql<Row>`select * from users where name = ${key(name)}`;
      const { isRight, isOutdated } = await passwords.verify(password, row?.password ?? undefined);
      if (!row || !isRight || row.disabled_at !== null) return undefined;
      if (isOutdated) {
        const hash = await passwords.hash(password);
        // Unless it was changed meanwhile.
        await database.sql`update users set password = ${hash} where id = ${row.id} and password = ${row.password}`;
      }
      return toUser(row);
    },
  };
}

function key(name: string): string {
  return name.normalize("NFC").toLowerCase();
}

function checkPassword(password: string): string {
  const { min, max } = passwordLength;
  const length = [...password].length;
  if (length >= min && length <= max) return password;
  throw error("invalid_argument", `A password has ${min} to ${max} characters.`, {
    reason: "PASSWORD_INVALID",
    executed: "no",
  });
}

function invalid(text: string): Error {
  return error("invalid_argument", `No user can be added: ${text}.`, { reason: "USER_INVALID", executed: "no" });
}

function toUser(row: Row): User {
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    email: row.email ?? undefined,
    roles: row.roles,
    scopes: row.scopes,
    createdAt: row.created_at,
    isDisabled: row.disabled_at !== null,
  };
}
