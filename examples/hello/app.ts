import { app, contract, method, service, t } from "plinth";

const greeter = contract("greeter", {
  methods: {
    greet: method({
      http: "GET /hello/:name",
      request: t.Object({ name: t.String({ maxLength: 50 }) }),
      response: t.Object({ greeting: t.String() }),
      access: "public",
    }),
  },
});

const greeterService = service(greeter, {
  methods: {
    async greet({ name }) {
      return { greeting: `Hello, ${name}!` };
    },
  },
});

export default app({ name: "hello", services: [greeterService] });
