import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Lists every route: verb, path, method or where it leads, access",
  args: [],
  flags: { app: appFlag, json: jsonFlag },
  examples: ["plinth routes", "plinth routes --json"],
  async run({ flags, terminal }) {
    const { loadAppOf } = await import("../app-model.ts");
    const { buildModel } = await import("../../app/index.ts");
    const { routesOf } = await import("../routes.ts");
    const { table } = await import("../table.ts");
    const app = await loadAppOf(terminal, flags.app);
    const routes = routesOf(buildModel(app), app);
    if (flags.json) terminal.out.write(`${JSON.stringify(routes, null, 2)}\n`);
    else {
      const rows = routes.map(({ verb, path, method, access }) => [verb, path, method, access]);
      terminal.out.write(table(["VERB", "PATH", "METHOD", "ACCESS"], rows, terminal.out));
    }
    return 0;
  },
});
