import { StartError } from "../base/index.ts";

/** Throws StartError DATABASE_SCHEMA_NAME. */
export function assertSchemaName(schema: string): void {
  const ok =
    /^[A-Za-z_][A-Za-z0-9_-]*$/.test(schema) && schema.length <= 63 && !/^(pg_|information_schema$)/i.test(schema);
  if (ok) return;
  throw new StartError(
    "DATABASE_SCHEMA_NAME",
    `database schema ${JSON.stringify(schema)}: a name of letters, digits, _ and -, at most 63 long, that starts with ` +
      `a letter or _ and not with "pg_". Rename the service, or give its database a schema of its own.`,
  );
}
