import type { Client } from "plinth";
import shop from "./app.ts";
import { payment } from "./payment/contract.ts";
import { startShop } from "./shop.fixture.ts";

/**
 * The shop as a process that a test kills: at `PLINTH_CRASH_POINT`, or right after the charge. It writes its
 * address and stays until it dies.
 */
export interface CrashOptions {
  readonly folder: string;
  readonly databaseUrl: string;
  readonly inbox?: boolean;
  /** Nobody but email listens to events here, so that the first effect is the mail's. */
  readonly onlyMail?: boolean;
  /** Between the charge and the order, if at no other point. */
  readonly dieAfterCharge?: boolean;
}

const { onlyMail = false, dieAfterCharge = false, ...options }: CrashOptions = JSON.parse(process.argv[2] ?? "{}");
const { PLINTH_CRASH_POINT } = process.env;

const fatalPayment: Pick<Client<typeof payment>, "charge"> = {
  async charge(request) {
    await running.client(payment).charge(request);
    return die();
  },
};

function die(): Promise<never> {
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => {});
}

const services = shop.services.map((service) =>
  service.kind === "service" && service.contract.name !== "email" && onlyMail
    ? { ...service, subscriptions: {} }
    : service,
);
const running = await startShop({
  ...options,
  services,
  doubles: dieAfterCharge ? { checkout: { payment: fatalPayment } } : {},
  environment: PLINTH_CRASH_POINT === undefined ? {} : { PLINTH_CRASH_POINT },
});
process.stdout.write(`listens on ${running.url}\n`);
