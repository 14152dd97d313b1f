import { app, contract, method, service, t } from "../../src/index.ts";

/** A gateway before two deployments of the same outside system, and a service of its own beside them. */
const hello = contract("hello", {
  methods: {
    greet: method({ http: "GET /hello", response: t.Object({ hello: t.String() }), access: "public" }),
  },
});

export default app({
  name: "reload",
  services: [service(hello, { methods: { greet: async () => ({ hello: "there" }) } })],
  gateway: {
    // Where they are is told by PLINTH_UPSTREAMS.
    upstreams: { stable: { targets: ["http://127.0.0.1:1"] }, canary: { targets: ["http://127.0.0.1:1"] } },
    splits: { checkout: { between: ["stable", "canary"], weights: { stable: 1 } } },
    // Overload has a proof of its own; on a busy machine it would refuse some of these.
    overload: false,
    routes: [{ name: "checkout", path: "/checkout/*", split: "checkout", access: "public" }],
  },
  placement: { edge: ["hello", "gateway"] },
});
