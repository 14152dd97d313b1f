/** For proof only: an app that has one of everything a generator must know. */
import type { App } from "../app/index.ts";
import { app } from "../app/index.ts";
import { t } from "../schema/index.ts";
import { contract, method, raw, service, stream } from "../service/index.ts";

const things = contract("things", {
  methods: {
    getThing: method({
      http: "GET /things/:id",
      summary: "One thing <with marks>",
      description: "What it says",
      request: t.Object({ id: t.String(), verbose: t.Optional(t.Boolean({ description: "Say more." })) }),
      response: t.Object({
        id: t.String({ format: "uuid" }),
        kind: t.Union([t.Literal("big"), t.Literal("small")]),
        parts: t.Array(
          t.Object({ name: t.String({ minLength: 1 }), at: t.Optional(t.String({ format: "date-time" })) }),
        ),
      }),
      access: "public",
      deadline: "2s",
      cache: { ttl: "30s" },
      slo: { latencyP99: "50ms", availability: 0.999 },
    }),
    putThing: method({
      http: "PUT /things/:id",
      request: t.Object({ id: t.String(), name: t.String({ maxLength: 10 }), tags: t.Optional(t.Array(t.String())) }),
      errors: { THING_UNKNOWN: "not_found", THING_FROZEN: "failed_precondition" },
      access: { scope: "things:write" },
    }),
    listThings: stream({ http: "GET /things", item: t.Object({ id: t.String() }) }),
    takeFile: raw({ http: "POST /files/*" }),
    internalOnly: method({ request: t.Object({ n: t.Integer() }) }),
  },
});

export const sampleApp: App = app({
  name: "sample",
  version: "1.2.3",
  services: [
    service(things, {
      methods: {
        async getThing({ id }) {
          return { id, kind: "big" as const, parts: [] };
        },
        async putThing() {},
        async *listThings() {},
        async takeFile() {
          return {};
        },
        async internalOnly() {},
      },
    }),
  ],
});
