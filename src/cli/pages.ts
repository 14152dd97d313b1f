import type { App, Model, RuntimeOptions } from "../app/index.ts";
import { toOpenApi, toReferencePage } from "../generators/index.ts";

type Pages = ReturnType<NonNullable<RuntimeOptions["pages"]>>;

/** What the gateway serves about itself: the reference at `/docs`, its document at `/openapi.json`; nothing where the app says `docs: false`. */
export function pagesOf(app: App): (model: Model) => Pages {
  return (model) =>
    app.gateway.docs === false
      ? []
      : [
          { path: "/docs", contentType: "text/html; charset=utf-8", body: toReferencePage(model) },
          { path: "/openapi.json", contentType: "application/json", body: JSON.stringify(toOpenApi(model)) },
        ];
}
