import { app, contract, method, service, t } from "plinth";

/**
 * A service whose requests cost about five milliseconds of a processor each; one of them first waits for something that
 * only sixteen may use at a time, such as a database's sessions.
 */
const rounds = 1_600_000;
const waitMs = 15;
const sessions = 16;
const Sum = t.Object({ sum: t.Number() });

const desk = contract("desk", {
  methods: {
    order: method({ http: "GET /order", access: "public", criticality: "critical", response: Sum }),
    search: method({ http: "GET /search", access: "public", criticality: "sheddable_plus", response: Sum }),
    browse: method({ http: "GET /browse", access: "public", criticality: "sheddable", response: Sum }),
  },
});

const deskService = service(desk, {
  methods: {
    order: async () => work(),
    browse: async () => work(),
    async search() {
      await useSession();
      return work();
    },
  },
});

/** The same amount of work each time, whoever else has the processor meanwhile. */
function work(): { sum: number } {
  let sum = 0;
  for (let i = 0; i < rounds; i++) sum += Math.sqrt(i);
  return { sum };
}

let free = sessions;
const waiting: (() => void)[] = [];

async function useSession(): Promise<void> {
  if (free > 0) free--;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  const next = waiting.shift();
  if (next) next();
  else free++;
}

export default app({
  name: "office",
  services: [deskService],
  gateway: { docs: false, ...(process.env.OFFICE_GUARD === "off" && { overload: false }) },
  placement: { office: ["gateway", "desk"] },
});
