import type { DatabaseSession } from "./database.ts";
import { Fragment, quoteName, sql } from "./sql.ts";
import { withoutLeadingComments } from "./statements.ts";

/**
 * `create index concurrently` that failed leaves an index behind that is never used for reading and still slows every
 * write; `if not exists` then takes it for the index. It is dropped before the statement runs again.
 */
export async function dropInvalidIndex(session: DatabaseSession, schema: string, statement: string): Promise<void> {
  const name = concurrentIndex(statement);
  if (name === undefined) return;
  const { rows } = await session.execute(
    sql`select 1 from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = ${schema} and c.relname = ${name} and not i.indisvalid`,
  );
  if (rows.length === 0) return;
  await session.execute(
    new Fragment([`drop index concurrently if exists ${quoteName(schema)}.${quoteName(name)}`], []),
  );
}

/** The name of the index that the statement makes, if it is one that makes an index concurrently. */
function concurrentIndex(statement: string): string | undefined {
  const pattern =
    /^create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?(?!on\b)("(?:[^"]|"")+"|[^\s"]+)\s+on\b/i;
  const found = pattern.exec(withoutLeadingComments(statement))?.[1];
  return found?.startsWith('"') ? found.slice(1, -1).replaceAll('""', '"') : found?.toLowerCase();
}
