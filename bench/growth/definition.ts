import { type App, app, contract, type createRuntime, method, service, t } from "plinth";
import { drive } from "../call/drive.ts";

/** Apps that are the same but for their size: routes of one service, or services of one app. */
const Answer = t.Object({ id: t.String(), name: t.String(), size: t.Integer() });
const Request = t.Object({ id: t.String({ maxLength: 40 }) });
const Run = t.Object({ seconds: t.Number(), inFlight: t.Integer() });
const Driven = t.Object({ calls: t.Integer(), seconds: t.Number(), p50Ms: t.Number(), p99Ms: t.Number() });

export interface Grown {
  readonly definition: App;
  /** Ten of its paths at most, from its beginning to its end: as many in a large app as in a small one. */
  readonly paths: readonly string[];
  /** Calls services of the app from inside, in turn. */
  readonly calls?: (runtime: Awaited<ReturnType<typeof createRuntime>>) => (seconds: number) => Promise<unknown>;
}

/** One service with so many routes, as they are in a grown API: areas, things in them, and one by its id. */
export function withRoutes(count: number): Grown {
  const patterns = Array.from({ length: count }, (_, i) => `/area-${i % 100}/things-${i}` as const);
  const big = contract("big", {
    methods: Object.fromEntries(
      patterns.map((path, i) => [
        `get${i}`,
        method({ http: `GET ${path}/:id`, request: Request, response: Answer, access: "public" }),
      ]),
    ),
  });
  const handlers = Object.fromEntries(
    patterns.map((_, i) => [`get${i}`, async ({ id }: { id: string }) => ({ id, name: "a thing", size: count })]),
  );
  return {
    definition: app({ name: "bench", services: [service(big, { methods: handlers })] }),
    paths: evenly(patterns).map((path) => `${path}/42`),
  };
}

/** So many services with a method each, and one that calls them. */
export function withServices(count: number): Grown {
  const contracts = Array.from({ length: count }, (_, i) =>
    contract(`service${i}`, {
      methods: {
        get: method({
          http: `GET /service-${i}/:id`,
          request: Request,
          response: Answer,
          access: "public",
          idempotent: true,
        }),
      },
    }),
  );
  const services = contracts.map((each) =>
    service(each, {
      methods: {
        async get({ id }) {
          return { id, name: "a thing", size: count };
        },
      },
    }),
  );
  const called = evenly(contracts);
  const driver = contract("driver", {
    methods: { drive: method({ request: Run, response: Driven, deadline: "60s" }) },
  });
  const driverService = service(driver, {
    needs: Object.fromEntries(called.map((each, i) => [`callee${i}`, each])),
    methods: {
      drive({ seconds, inFlight }, context) {
        const clients = called.map(
          (_, i) => context[`callee${i}`] as { get(request: { id: string }): Promise<unknown> },
        );
        let next = 0;
        return drive(
          () => (clients[next++ % clients.length] as (typeof clients)[number]).get({ id: "42" }),
          seconds,
          inFlight,
        );
      },
    },
  });
  return {
    definition: app({ name: "bench", services: [...services, driverService] }),
    paths: evenly(contracts.map((_, i) => `/service-${i}/42`)),
    calls: (runtime) => {
      const client = runtime.client(driver);
      return (seconds) => client.drive({ seconds, inFlight: 64 }, { deadline: "60s" });
    },
  };
}

function evenly<T>(all: readonly T[]): readonly T[] {
  const step = Math.max(1, all.length / 10);
  return Array.from({ length: Math.min(10, all.length) }, (_, i) => all[Math.floor(i * step)] as T);
}
