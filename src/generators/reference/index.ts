/** The Model as a page for people: every method, its fields, its errors, a command to try it. */
import type { Generator } from "../generator.ts";
import { toReferencePage } from "./page.ts";

const reference: Generator = {
  name: "reference",
  describe: "API reference as one HTML page, complete in itself",
  generate: (model) => [{ path: "reference.html", content: toReferencePage(model) }],
};

export default reference;
