import { app, contract, method, service, t } from "plinth";

/** Three services in a row, each in a process of its own, of which the last always fails. All may be asked twice. */
const Answer = t.Object({ ok: t.Boolean() });
const options = { access: "public", idempotent: true, response: Answer, errors: ["unavailable"] } as const;

const leaf = contract("leaf", { methods: { ask: method(options) } });
const middle = contract("middle", { methods: { ask: method(options) } });
const front = contract("front", { methods: { ask: method({ ...options, http: "GET /ask" }) } });

export default app({
  name: "chain",
  services: [
    service(leaf, {
      methods: {
        async ask(_request, { fail }) {
          throw fail("unavailable", "It always fails.");
        },
      },
    }),
    service(middle, { needs: { leaf }, methods: { ask: (_request, { leaf }) => leaf.ask() } }),
    service(front, { needs: { middle }, methods: { ask: (_request, { middle }) => middle.ask() } }),
  ],
  gateway: { docs: false },
  placement: { front: ["gateway", "front"], middle: ["middle"], leaf: ["leaf"] },
});
