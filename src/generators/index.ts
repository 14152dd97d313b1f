/** Model to files. Each generator is a folder; the list is made from the folders. */

export type { GeneratedFile, Generator } from "./generator.ts";
export { toOpenApi } from "./openapi/openapi.ts";
export { pagesOf } from "./pages.ts";
export { exampleOf } from "./reference/example.ts";
export { toReferencePage } from "./reference/page.ts";
