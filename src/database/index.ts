/** SQL for services: sessions, transactions, typed queries, replicas and migrations over any engine that has a driver. */
export type { AdvisoryLockOptions } from "./advisory-lock.ts";
export { withAdvisoryLock } from "./advisory-lock.ts";
export type { BudgetOptions, ConnectionBudget, PoolBudget } from "./budget.ts";
export { checkConnectionBudget } from "./budget.ts";
export type {
  Database,
  DatabaseSession,
  SessionOptions,
  TransactionOptions,
} from "./database.ts";
export { createDatabase } from "./database.ts";
export type { DatabaseOptions, QueryRecord } from "./database-options.ts";
export type {
  AcquireOptions,
  DatabaseDriver,
  DatabaseFlags,
  DatabaseStats,
  Outcome,
  QueryResult,
  Session,
  StatementLimits,
} from "./driver.ts";
export type { DatabaseDetail } from "./errors.ts";
export { breaksSession, constraintOf, databaseDetail, isConflict, toDatabaseError, withExecuted } from "./errors.ts";
export type { LazyTransaction } from "./lazy-transaction.ts";
export { lazyTransaction } from "./lazy-transaction.ts";
export type { LintFinding, LintLock } from "./lint.ts";
export type { LockMode } from "./lint-locks.ts";
export { blockedBy } from "./lint-locks.ts";
export type { MigrateOptions, MigrationState } from "./migrate.ts";
export { migrate } from "./migrate.ts";
export type { Migration, MigrationSource } from "./migration.ts";
export type { PlannedStep } from "./migration-plan.ts";
export { inspectMigrations, planMigrations } from "./migration-plan.ts";
export type { PartitionOptions, PartitionReport } from "./partition.ts";
export { maintainPartitions } from "./partition.ts";
export type { PartitionDeclarations, Partitioning } from "./partition-declaration.ts";
export { checkPartitions } from "./partition-declaration.ts";
export { isPlannedByIndex, isPlannedEachTime, planByIndex, planEachTime } from "./planning.ts";
export type { Lease, LeaseOptions, Pool, PoolOptions } from "./pool.ts";
export { createPool, notStarted } from "./pool.ts";
export type { ReadDatabase, ReadSession, ReadTransactionOptions } from "./read-database.ts";
export type { ReplicaStats } from "./replica.ts";
export type { Replicas, ReplicasOptions } from "./replicas.ts";
export { createReplicas } from "./replicas.ts";
export type { Sharing } from "./sharing.ts";
export { createSharing } from "./sharing.ts";
export type { SlowQueryLog, SlowQueryLogOptions, SlowQueryReport } from "./slow-queries.ts";
export { createSlowQueryLog } from "./slow-queries.ts";
export type { SqlBuilder, Statement } from "./sql.ts";
export { Fragment, quoteName, sql } from "./sql.ts";
export { isTransactionControl, splitStatements, withoutLeadingComments } from "./statements.ts";
export type { Isolation, Transaction } from "./transaction.ts";
export type { SqlText } from "./values.ts";
export { encodeValue, JsonValue, parsedTypeIds, parserOf } from "./values.ts";
