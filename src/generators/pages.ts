import type { Model, RuntimeOptions } from "../app/index.ts";
import { toOpenApi } from "./openapi/openapi.ts";
import { toReferencePage } from "./reference/page.ts";

type Pages = ReturnType<NonNullable<RuntimeOptions["pages"]>>;

/** What a gateway serves about itself: the reference at `/docs`, the OpenAPI document at `/openapi.json`. */
export function pagesOf(model: Model): Pages {
  return [
    { path: "/docs", contentType: "text/html; charset=utf-8", body: () => toReferencePage(model) },
    { path: "/openapi.json", contentType: "application/json", body: () => JSON.stringify(toOpenApi(model)) },
  ];
}
