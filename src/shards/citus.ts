import type { ShardBy } from "./sharded-table.ts";

/**
 * The same declaration for Citus, which spreads tables itself: one statement for each table, to be run once by hand or
 * in a migration on the coordinator, all tables colocated by their key. docs/state.md says what differs. Not tried
 * against a Citus server: none is at hand where this is tested; the text follows the manual of Citus 12.
 */
export function citusStatements(schema: string, shardBy: ShardBy): readonly string[] {
  const [first, ...rest] = Object.entries(shardBy);
  if (!first) return [];
  const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
  const name = (table: string) => literal(`"${schema.replaceAll('"', '""')}"."${table.replaceAll('"', '""')}"`);
  const [root, rootColumn] = first;
  return [
    `select create_distributed_table(${name(root)}, ${literal(rootColumn)}, shard_count => 32)`,
    ...rest.map(
      ([table, column]) =>
        `select create_distributed_table(${name(table)}, ${literal(column)}, colocate_with => ${name(root)})`,
    ),
  ];
}
