import { app, contract, createRuntime, method, service, t, tokens } from "plinth";
import { announce } from "../child.ts";

/**
 * The shop as it is published, or one group of it: `shop.ts FOLDER [GROUP]`, where FOLDER has it compiled. Beside its own
 * services stands a desk that signs customers in, since passwords are made to be slow.
 */
const [folder = "", group] = process.argv.slice(2);
const { default: shop } = await import(`${folder}/app.js`);

const desk = contract("desk", {
  methods: { signIn: method({ request: t.Object({ id: t.String() }), response: t.Object({ token: t.String() }) }) },
});
const deskService = service(desk, {
  needs: { tokens: tokens() },
  methods: { signIn: ({ id }, { tokens }) => tokens.issue({ subject: id }) },
});
const definition = app({
  ...shop,
  services: [...shop.services, deskService],
  placement: { ...shop.placement, edge: [...shop.placement.edge, "desk"] },
});

const runtime = await createRuntime(definition, { group, settings: { managementPort: 0 } });
const { gateway } = await runtime.start();

announce(
  { url: gateway },
  {
    async tokens(count: number) {
      const ids = Array.from({ length: count }, (_, i) => `customer-${i}`);
      return Promise.all(ids.map(async (id) => (await runtime.client(desk).signIn({ id })).token));
    },
  },
);
