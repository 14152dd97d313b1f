import { setTimeout as sleep } from "node:timers/promises";
import { app, contract, method, service, t } from "plinth";
import { bucket, outage, places, sliding, whenDownVariable } from "./quotas.ts";

const Span = t.Object({ beganAt: t.Number(), endedAt: t.Number() });
const short = { quota: sliding.quota, window: `${sliding.windowSeconds}s`, by: "address", name: "short" } as const;

/** What a client does is told by `X-Forwarded-For`: the load comes from a trusted proxy, as it does in production. */
const meter = contract("meter", {
  methods: {
    sliding: method({ http: "GET /sliding", access: "public", limits: [short] }),
    both: method({
      http: "GET /both",
      access: "public",
      limits: [short, { quota: sliding.longQuota, window: "1h", by: "address", name: "long" }],
    }),
    bucket: method({
      http: "GET /bucket",
      access: "public",
      limits: [{ quota: bucket.perSecond, window: "1s", burst: bucket.burst, by: "address" }],
    }),
    places: method({
      http: "GET /places",
      response: Span,
      access: "public",
      limits: [{ concurrent: places.count, by: "route" }],
    }),
    outage: method({
      http: "GET /outage",
      access: "public",
      limits: [{ quota: outage.perSecond, window: "1s", by: "address" }],
    }),
  },
});

const nothing = async (): Promise<void> => {};

const meterService = service(meter, {
  methods: {
    sliding: nothing,
    both: nothing,
    bucket: nothing,
    outage: nothing,
    async places() {
      const beganAt = Date.now();
      await sleep(places.holdMs);
      return { beganAt, endedAt: Date.now() };
    },
  },
});

const whenDown = process.env[whenDownVariable];

export default app({
  name: "meter",
  services: [meterService],
  placement: { edge: ["gateway", "meter"] },
  gateway: {
    trustedProxies: ["127.0.0.1"],
    limitStore: {
      ...((whenDown === "allow" || whenDown === "refuse" || whenDown === "local") && { whenDown }),
    },
  },
});
