/** `open-loop-program.ts '{"url": …, "routes": [{"name": …, "path": …}], "rate": …, "seconds": …}'`: prints a report as JSON. */
import type { LoadPlan } from "./open-loop.ts";
import { runLoad } from "./open-loop.ts";

process.stdout.write(JSON.stringify(await runLoad(JSON.parse(process.argv[2] ?? "") as LoadPlan)));
