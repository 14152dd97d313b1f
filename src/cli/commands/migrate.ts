import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Brings the tables of every service up to date",
  details:
    "Starting an app does it too, unless PLINTH_MIGRATE=false. The embedded database is open in one process: stop the app first. " +
    "--plan also tells which locks the steps take, and what in them would stop a big table or break the version that runs; " +
    "it ends with 1 when that is an error. In production such a step is refused, unless a comment before the statement says: " +
    "-- plinth-lint: allow RULE because REASON",
  args: [],
  flags: {
    app: appFlag,
    plan: { kind: "switch", describe: "only tells what is pending, and what is wrong with it" },
    json: jsonFlag,
  },
  examples: ["plinth migrate --plan", "DATABASE_URL=postgres://… plinth migrate"],
  async run({ flags, terminal }) {
    const { loadAppOf } = await import("../app-model.ts");
    const { buildModel, readProcessSettings } = await import("../../app/index.ts");
    const { withDatabase } = await import("../app-stores.ts");
    const { environmentOf } = await import("../environment.ts");
    const { findingsText, hasErrors } = await import("../migration-findings.ts");
    const { applyMigrations, pendingMigrations } = await import("../migrations.ts");
    const { table } = await import("../table.ts");
    const app = await loadAppOf(terminal, flags.app);
    const settings = readProcessSettings(environmentOf(terminal));
    const lint = settings.mode === "production" ? "refuse" : "off";
    const pending = await withDatabase(buildModel(app), settings, terminal, (stores) =>
      flags.plan ? pendingMigrations(app, stores) : applyMigrations(app, stores, { lint }),
    );
    const rows = pending.flatMap(({ service, names }) => names.map((name) => [service, name]));
    const shown = flags.plan ? pending : pending.map(({ service, names }) => ({ service, names }));
    if (flags.json) terminal.out.write(`${JSON.stringify(shown, null, 2)}\n`);
    else if (rows.length > 0)
      terminal.out.write(table(["SERVICE", flags.plan ? "PENDING" : "APPLIED"], rows, terminal.out));
    else terminal.err.write("every service is up to date\n");
    if (flags.plan && !flags.json) terminal.out.write(findingsText(pending, terminal.out));
    return flags.plan && hasErrors(pending) ? 1 : 0;
  },
});
