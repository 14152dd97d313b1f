import type { Database } from "plinth";

/**
 * The table of accounts: every statement that touches it. All but one go by the account's id, which is what accounts are
 * spread by; the one that asks for an address is apart, since it alone does not know where to look.
 */
export interface AccountRow {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly password: string;
  readonly created_at: string;
}

/** Whose address this is, in small letters. */
export async function findAccountId(db: Database, email: string): Promise<string | undefined> {
  const [row] = await db.sql<{ id: string }>`select id from accounts where email = ${email}`;
  return row?.id;
}

export async function findAccount(db: Database, id: string): Promise<AccountRow | undefined> {
  const [row] = await db.sql<AccountRow>`select * from accounts where id = ${id}`;
  return row;
}

/** Undefined when the address belongs to somebody already: of two who come at once, one has it. */
export async function insertAccount(
  db: Database,
  { id, email, name, password }: Omit<AccountRow, "created_at">,
): Promise<AccountRow | undefined> {
  const [row] = await db.sql<AccountRow>`
    insert into accounts (id, email, name, password) values (${id}, ${email}, ${name}, ${password})
    on conflict (email) do nothing returning *`;
  return row;
}
