import type { LockMode } from "./lint-locks.ts";
import { lockModes } from "./lint-locks.ts";

/** A node of PostgreSQL's parse tree: the tree has several hundred kinds, of which this room looks at twenty. */
export type Tree = { readonly [name: string]: any };

/** One thing that a statement does to one table, in words that the rules are written in. */
export interface Act {
  readonly kind: string;
  /** Undefined when it is about no table, or one that the text does not name. */
  readonly table?: string;
  readonly lock?: LockMode;
  /** Of an index, column or constraint. */
  readonly name?: string;
  /** What the rules ask: "concurrent", "not null", "default", "volatile", "valid", "ready", "where", "repeatable". */
  readonly is?: readonly string[];
  /** PostgreSQL takes the statement only outside of a transaction. */
  readonly alone?: boolean;
}

/** What one statement does. A statement that no rule is about gives nothing. */
export function actsOf(node: Tree): readonly Act[] {
  const [kind, body] = Object.entries(node)[0] as [string, Tree];
  return readers[kind]?.(body) ?? [];
}

export function nameOf(relation: Tree | undefined): string {
  return relation?.schemaname ? `${relation.schemaname}.${relation.relname}` : String(relation?.relname);
}

const flags = (given: Readonly<Record<string, unknown>>): string[] => Object.keys(given).filter((name) => given[name]);
/** An option is on when it is named, unless its value says off. */
const optionIs = (list: readonly Tree[] | undefined, name: string): boolean =>
  (list ?? []).some(({ DefElem }) => {
    const value = DefElem?.arg?.String?.sval ?? DefElem?.arg?.Boolean?.boolval ?? DefElem?.arg?.Integer?.ival;
    return DefElem?.defname === name && !(DefElem.arg && [undefined, "false", "off", false, 0].includes(value));
  });
const lastWord = (names: readonly Tree[] | undefined): string => String(names?.at(-1)?.String?.sval ?? "");
const dotted = (items: readonly Tree[] | undefined): string => (items ?? []).map((item) => item.String?.sval).join(".");

const readers: Readonly<Record<string, (body: Tree) => readonly Act[]>> = {
  IndexStmt: (body) => [
    {
      kind: "create index",
      table: nameOf(body.relation),
      name: body.idxname,
      lock: body.concurrent ? "SHARE UPDATE EXCLUSIVE" : "SHARE",
      is: flags({ concurrent: body.concurrent, repeatable: body.if_not_exists && body.idxname }),
      alone: Boolean(body.concurrent),
    },
  ],
  CreateStmt: (body) => createdTable(body),
  CreateTableAsStmt: (body) => [
    { kind: "create table", table: nameOf(body.into.rel), is: flags({ repeatable: body.if_not_exists }) },
  ],
  AlterTableStmt: (body) =>
    body.objtype === "OBJECT_TABLE"
      ? body.cmds.flatMap(({ AlterTableCmd }: Tree) => alteration(nameOf(body.relation), AlterTableCmd))
      : [],
  ViewStmt: (body) => [{ kind: "new view", name: nameOf(body.view) }],
  CreateEnumStmt: (body) => [{ kind: "new type", name: dotted(body.typeName) }],
  CreateRangeStmt: (body) => [{ kind: "new type", name: dotted(body.typeName) }],
  CompositeTypeStmt: (body) => [{ kind: "new type", name: nameOf(body.typevar) }],
  CreateDomainStmt: (body) => [{ kind: "new type", name: dotted(body.domainname) }],
  CreateFunctionStmt: (body) => [{ kind: "new function", name: `${dotted(body.funcname)}()` }],
  RenameStmt: (body) => {
    const renamed = { OBJECT_TABLE: "rename table", OBJECT_COLUMN: "rename column" }[body.renameType as string];
    return renamed
      ? [{ kind: renamed, table: nameOf(body.relation), name: body.subname, lock: "ACCESS EXCLUSIVE" }]
      : renamedObject(body.renameType, body);
  },
  AlterObjectSchemaStmt: (body) =>
    body.objectType === "OBJECT_TABLE"
      ? [{ kind: "rename table", table: nameOf(body.relation), lock: "ACCESS EXCLUSIVE" }]
      : renamedObject(body.objectType, body),
  AlterDomainStmt: (body) => {
    const checks = body.subtype === "O" || (body.subtype === "C" && !body.def?.Constraint?.skip_validation);
    return checks ? [{ kind: "domain check", name: dotted(body.typeName) }] : [];
  },
  DropStmt: (body) => dropped(body),
  VacuumStmt: (body) =>
    (body.rels ?? [{}]).map(({ VacuumRelation }: Tree) => {
      const full = optionIs(body.options, "full");
      const table = VacuumRelation ? { table: nameOf(VacuumRelation.relation) } : {};
      const lock: LockMode = full ? "ACCESS EXCLUSIVE" : "SHARE UPDATE EXCLUSIVE";
      return {
        kind: full ? "rewrite" : "vacuum",
        ...table,
        lock,
        is: ["repeatable"],
        alone: Boolean(body.is_vacuumcmd),
      };
    }),
  ClusterStmt: (body) => [
    {
      kind: "rewrite",
      ...(body.relation ? { table: nameOf(body.relation) } : {}),
      lock: "ACCESS EXCLUSIVE",
      is: ["repeatable"],
    },
  ],
  ReindexStmt: (body) => {
    const concurrent = optionIs(body.params, "concurrently");
    const ofTable = body.kind === "REINDEX_OBJECT_TABLE" && body.relation;
    const whole = !["REINDEX_OBJECT_TABLE", "REINDEX_OBJECT_INDEX"].includes(body.kind);
    const lock: LockMode = concurrent ? "SHARE UPDATE EXCLUSIVE" : "SHARE";
    const is = flags({ concurrent, repeatable: true });
    return [
      { kind: "reindex", ...(ofTable ? { table: nameOf(body.relation) } : {}), lock, is, alone: concurrent || whole },
    ];
  },
  RefreshMatViewStmt: (body) =>
    body.concurrent
      ? []
      : [{ kind: "rewrite", table: nameOf(body.relation), lock: "ACCESS EXCLUSIVE", is: ["repeatable"] }],
  LockStmt: (body) => {
    const lock = lockModes[body.mode - 1] as LockMode;
    return body.relations.map(({ RangeVar }: Tree) => ({ kind: "lock table", table: nameOf(RangeVar), lock }));
  },
  UpdateStmt: (body) => changedRows("update", body),
  DeleteStmt: (body) => changedRows("delete", body),
  TruncateStmt: (body) =>
    body.relations.map(({ RangeVar }: Tree) => ({
      kind: "truncate",
      table: nameOf(RangeVar),
      lock: "ACCESS EXCLUSIVE",
    })),
  AlterEnumStmt: (body) => {
    const name = dotted(body.typeName);
    if (body.oldVal !== undefined) return [{ kind: "rename enum value", name }];
    return [{ kind: "add enum value", name, is: flags({ repeatable: body.skipIfNewValExists }) }];
  },
  CreateTrigStmt: (body) => [{ kind: "create trigger", table: nameOf(body.relation), lock: "SHARE ROW EXCLUSIVE" }],
};

function createdTable(body: Tree): readonly Act[] {
  const made: Act = {
    kind: "create table",
    table: nameOf(body.relation),
    is: flags({ repeatable: body.if_not_exists }),
  };
  const parents: Act[] = (body.inhRelations ?? []).map(({ RangeVar }: Tree) => ({
    kind: body.partbound ? "create partition" : "inherit",
    table: nameOf(RangeVar),
    lock: body.partbound ? "ACCESS EXCLUSIVE" : "SHARE UPDATE EXCLUSIVE",
  }));
  const referred = (body.tableElts ?? []).flatMap(({ ColumnDef, Constraint }: Tree) =>
    [Constraint, ...(ColumnDef?.constraints ?? []).map((each: Tree) => each.Constraint)].filter(
      (each) => each?.pktable,
    ),
  );
  const references: Act[] = referred.map((each: Tree) => ({
    kind: "refer to",
    table: nameOf(each.pktable),
    lock: "SHARE ROW EXCLUSIVE",
  }));
  return [made, ...parents, ...references];
}

/** What a running version names in its queries; of indexes, constraints and the like it knows nothing. */
const namedInQueries = /^OBJECT_(?:VIEW|MATVIEW|TYPE|DOMAIN|ATTRIBUTE|FUNCTION|PROCEDURE|ROUTINE|AGGREGATE|SEQUENCE)$/;
const callable = /^OBJECT_(?:FUNCTION|PROCEDURE|ROUTINE|AGGREGATE)$/;

function renamedObject(type: string, body: Tree): readonly Act[] {
  if (!namedInQueries.test(type)) return [];
  return [{ kind: "rename object", name: body.relation ? nameOf(body.relation) : objectName(type, body.object) }];
}

/** A function has its brackets, as its name may be that of a table too. */
function objectName(type: string, object: Tree): string {
  const names = object.List?.items ?? object.TypeName?.names ?? object.ObjectWithArgs?.objname ?? [object];
  return `${dotted(names)}${callable.test(type) ? "()" : ""}`;
}

function dropped(body: Tree): readonly Act[] {
  const names: string[] = body.objects.map((each: Tree) => objectName(body.removeType, each));
  const is = flags({ concurrent: body.concurrent, repeatable: body.missing_ok });
  switch (body.removeType) {
    case "OBJECT_TABLE":
      return names.map((table) => ({ kind: "drop table", table, lock: "ACCESS EXCLUSIVE", is }));
    case "OBJECT_INDEX": {
      const lock: LockMode = body.concurrent ? "SHARE UPDATE EXCLUSIVE" : "ACCESS EXCLUSIVE";
      return names.map((name) => ({ kind: "drop index", name, lock, is, alone: Boolean(body.concurrent) }));
    }
    case "OBJECT_VIEW":
    case "OBJECT_MATVIEW":
      return names.map((name) => ({ kind: "drop view", name, is }));
    case "OBJECT_SCHEMA":
      return names.map((name) => ({ kind: "drop schema", name, is }));
    case "OBJECT_TYPE":
    case "OBJECT_DOMAIN":
      return names.map((name) => ({ kind: "drop type", name, is }));
    case "OBJECT_FUNCTION":
    case "OBJECT_PROCEDURE":
    case "OBJECT_ROUTINE":
    case "OBJECT_AGGREGATE":
      return names.map((name) => ({ kind: "drop function", name, is }));
    default:
      return [];
  }
}

/** `where true` is no where. */
function changedRows(kind: string, body: Tree): readonly Act[] {
  const where = body.whereClause !== undefined && body.whereClause.A_Const?.boolval?.boolval !== true;
  return [{ kind, table: nameOf(body.relation), lock: "ROW EXCLUSIVE", is: flags({ where }) }];
}

/** Subcommands of ALTER TABLE that take less than ACCESS EXCLUSIVE (PostgreSQL documentation, ALTER TABLE). */
const lighter: Readonly<Record<string, LockMode>> = {
  AT_ValidateConstraint: "SHARE UPDATE EXCLUSIVE",
  AT_AttachPartition: "SHARE UPDATE EXCLUSIVE",
  AT_SetStatistics: "SHARE UPDATE EXCLUSIVE",
  AT_SetOptions: "SHARE UPDATE EXCLUSIVE",
  AT_ResetOptions: "SHARE UPDATE EXCLUSIVE",
  AT_SetRelOptions: "SHARE UPDATE EXCLUSIVE",
  AT_ResetRelOptions: "SHARE UPDATE EXCLUSIVE",
  AT_ClusterOn: "SHARE UPDATE EXCLUSIVE",
};

const plainAlterations: Readonly<Record<string, string>> = {
  AT_AlterColumnType: "column type",
  AT_SetNotNull: "set not null",
  AT_DropNotNull: "drop not null",
  AT_DropColumn: "drop column",
  AT_ValidateConstraint: "validate",
  AT_SetLogged: "rewrite",
  AT_SetUnLogged: "rewrite",
  AT_SetTableSpace: "rewrite",
  AT_SetAccessMethod: "rewrite",
};

function alteration(table: string, command: Tree): readonly Act[] {
  const { subtype, name, def } = command;
  const lock = lighter[subtype] ?? "ACCESS EXCLUSIVE";
  const kind = plainAlterations[subtype];
  if (kind) return [{ kind, table, name, lock }];
  if (subtype === "AT_AddColumn") return addedColumn(table, def.ColumnDef);
  if (subtype === "AT_AddConstraint") return addedConstraint(table, def.Constraint);
  if (/^AT_DisableTrig/.test(subtype)) return [{ kind: "disable trigger", table, lock: "SHARE ROW EXCLUSIVE" }];
  if (/^AT_Enable(?:Always|Replica)?Trig/.test(subtype))
    return [{ kind: "enable trigger", table, lock: "SHARE ROW EXCLUSIVE" }];
  if (subtype === "AT_DetachPartition") {
    const { concurrent } = def.PartitionCmd;
    return [{ kind: "detach", table, lock: concurrent ? "SHARE UPDATE EXCLUSIVE" : lock, alone: Boolean(concurrent) }];
  }
  return [{ kind: "alter", table, lock }];
}

function addedColumn(table: string, column: Tree): readonly Act[] {
  const constraints: readonly Tree[] = (column.constraints ?? []).map((each: Tree) => each.Constraint);
  const find = (type: string): Tree | undefined => constraints.find(({ contype }) => contype === type);
  const serial = /^(?:small|big)?serial\d?$/.test(lastWord(column.typeName?.names));
  const generated = find("CONSTR_GENERATED");
  const fallback = find("CONSTR_DEFAULT")?.raw_expr as Tree | undefined;
  const filled = fallback !== undefined && fallback.A_Const?.isnull !== true;
  const stored = generated !== undefined && generated.generated_kind !== "v";
  const volatile = serial || stored || find("CONSTR_IDENTITY") !== undefined || (filled && mayChange(fallback));
  const added: Act = {
    kind: "add column",
    table,
    name: column.colname,
    lock: "ACCESS EXCLUSIVE",
    is: flags({
      "not null": find("CONSTR_NOTNULL") || find("CONSTR_PRIMARY"),
      default: filled || volatile || generated,
      volatile,
    }),
  };
  // A new column without a default is null in every row, and PostgreSQL does not look for what it refers to.
  const checked = constraints.filter(({ contype }) => contype !== "CONSTR_FOREIGN" || filled || volatile);
  return [
    added,
    ...checked.flatMap((each) => (columnConstraints.has(each.contype) ? addedConstraint(table, each) : [])),
  ];
}

const columnConstraints = new Set(["CONSTR_FOREIGN", "CONSTR_CHECK", "CONSTR_UNIQUE", "CONSTR_PRIMARY"]);

/** Functions that give one value in a whole statement: PostgreSQL stores it once, and rewrites nothing. */
const stable = new Set(["now", "statement_timestamp", "transaction_timestamp", "current_setting", "to_timestamp"]);
for (const name of ["concat", "lower", "upper", "coalesce", "jsonb_build_object", "json_build_object", "make_interval"])
  stable.add(name);

/** Whether a default may differ from row to row: then every row is written. A function that is not known may. */
function mayChange(expression: unknown): boolean {
  if (typeof expression !== "object" || expression === null) return false;
  if (Array.isArray(expression)) return expression.some(mayChange);
  const tree = expression as Tree;
  if (tree.FuncCall && !stable.has(lastWord(tree.FuncCall.funcname))) return true;
  return Object.values(tree).some(mayChange);
}

function addedConstraint(table: string, constraint: Tree): readonly Act[] {
  const name = constraint.conname as string | undefined;
  const valid = !constraint.skip_validation;
  const base = { table, ...(name === undefined ? {} : { name }) };
  switch (constraint.contype) {
    case "CONSTR_FOREIGN":
      return [
        { kind: "add foreign key", ...base, lock: "SHARE ROW EXCLUSIVE", is: flags({ valid }) },
        { kind: "refer to", table: nameOf(constraint.pktable), lock: "SHARE ROW EXCLUSIVE" },
      ];
    case "CONSTR_CHECK": {
      const column = notNullColumn(constraint.raw_expr);
      const known: Act[] =
        column === undefined
          ? []
          : [{ kind: "check not null", table, name: `${column} ${name ?? ""}`, is: flags({ valid }) }];
      return [{ kind: "add check", ...base, lock: "ACCESS EXCLUSIVE", is: flags({ valid }) }, ...known];
    }
    case "CONSTR_NOTNULL":
      return [
        {
          kind: "set not null",
          table,
          name: lastWord(constraint.keys),
          lock: "ACCESS EXCLUSIVE",
          is: flags({ ready: !valid }),
        },
      ];
    case "CONSTR_UNIQUE":
    case "CONSTR_PRIMARY":
    case "CONSTR_EXCLUSION":
      return [{ kind: "add unique", ...base, lock: "ACCESS EXCLUSIVE", is: flags({ ready: constraint.indexname }) }];
    default:
      return [{ kind: "alter", ...base, lock: "ACCESS EXCLUSIVE" }];
  }
}

/** The column of `check (column is not null)`. */
function notNullColumn(expression: Tree | undefined): string | undefined {
  const test = expression?.NullTest;
  if (test?.nulltesttype !== "IS_NOT_NULL") return undefined;
  return lastWord(test.arg?.ColumnRef?.fields) || undefined;
}
