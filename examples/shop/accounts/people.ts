import type { Database, Transaction } from "plinth";

/** The table of accounts: every statement that touches it. All go by the account's id, which is what accounts are spread by. */
export interface AccountRow {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  /** Null for those who signed in with an identity provider. */
  readonly password: string | null;
  readonly created_at: string;
}

export async function findAccount(db: Database, id: string): Promise<AccountRow | undefined> {
  const [row] = await db.sql<AccountRow>`select * from accounts where id = ${id}`;
  return row;
}

export async function insertAccount(
  tx: Transaction,
  { id, email, name, password }: Omit<AccountRow, "created_at">,
): Promise<AccountRow> {
  const [row] = await tx.sql<AccountRow>`
    insert into accounts (id, email, name, password) values (${id}, ${email}, ${name}, ${password}) returning *`;
  if (!row) throw new Error("an insert gives its row");
  return row;
}
