/** `node --import` this, and a process runs an app's TypeScript as the command does: for `plinth test`. */
import { runsSource, useSource, useTypeScript } from "./source.js";

await (runsSource() ? useSource() : useTypeScript());
