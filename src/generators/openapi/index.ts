/** The Model as an OpenAPI 3.1 document. */
import type { Generator } from "../generator.ts";
import { toOpenApi } from "./openapi.ts";

const openapi: Generator = {
  name: "openapi",
  describe: "OpenAPI 3.1 document of every method with a route",
  generate: (model) => [{ path: "openapi.json", content: `${JSON.stringify(toOpenApi(model), null, 2)}\n` }],
};

export default openapi;
