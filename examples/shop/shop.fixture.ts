import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, app } from "plinth";
import { startTestApp, type TestApp, type TestAppOptions } from "plinth/testing";
import shop from "./app.ts";
import { createProbe } from "./probe.fixture.ts";
import { until } from "./waiting.fixture.ts";

export interface ShopOptions extends Pick<TestAppOptions, "doubles" | "environment" | "inbox"> {
  /** Default: none, as far as the shop declares it; people sign in with an account of the shop. */
  readonly gateway?: App["gateway"];
  /** Default: the shop's own. */
  readonly services?: App["services"];
  /** Where data and mails are kept. Default: a folder of its own, which goes when the shop stops. */
  readonly folder?: string;
  /** Default: in memory. */
  readonly databaseUrl?: string;
}

export interface TestShop extends TestApp {
  readonly mailFolder: string;
  /** Runs SQL over the tables of every service. */
  run(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Resolves when every event has taken effect, but for clean-ups that wait for their time. */
  quiet(): Promise<void>;
  /** Lets the database believe that this much time has passed since everything that it knows of. */
  passSeconds(seconds: number): Promise<void>;
  /** Ends the leases of a process that was killed, which would end by themselves a quarter of a minute after its death. */
  forgetTheDead(): Promise<void>;
}

const probe = createProbe();

/** The services that announce something, and so have an outbox. */
const publishers = shop.services.flatMap(({ contract }) =>
  Object.keys(contract.events).length > 0 ? [contract.name] : [],
);

/** The whole shop in this process, with a probe in it. */
export async function startShop(options: ShopOptions = {}): Promise<TestShop> {
  const { doubles = {}, inbox = true, services = shop.services, databaseUrl } = options;
  const { gateway = {} } = options;
  const definition = app({ name: shop.name, services: [...services, probe.service], gateway });
  const folder = options.folder ?? (await newFolder());
  const mailFolder = mailFolderOf(folder);
  const running = await startTestApp(definition, {
    doubles,
    inbox,
    environment: { SHOP_MAIL_FOLDER: mailFolder, ...options.environment },
    settings: { dataFolder: folder, ...(databaseUrl !== undefined && { databaseUrl }) },
  });
  const run = async (text: string) => (await running.client(probe.contract).run({ text })).rows;
  return {
    ...running,
    mailFolder,
    run,
    async quiet() {
      await until("the events to have taken effect", async () => {
        const unpublished = publishers.map(
          (name) => `(select count(*) from ${name}.plinth_outbox where published_at is null)`,
        );
        const [left] = await run(
          `select ${unpublished.join(" + ")}
            + (select count(*) from plinth_broker.deliveries where subscription <> 'checkout.cleanUpAfterCrash') as count`,
        );
        return left?.count === 0;
      });
    },
    async passSeconds(seconds) {
      const ago = `interval '${seconds} seconds'`;
      await run(`update checkout.orders set created_at = created_at - ${ago}`);
      await run(`update checkout.plinth_idempotency set lease_until = lease_until - ${ago}`);
      await run(
        `update plinth_broker.deliveries set ready_at = ready_at - ${ago}, claimed_until = claimed_until - ${ago}`,
      );
    },
    async forgetTheDead() {
      for (const name of publishers) {
        // Who lives has renewed last.
        const living = `(select owner from ${name}.plinth_relays order by expires_at desc limit 1)`;
        await run(`update ${name}.plinth_relay_buckets set expires_at = now() where owner <> ${living}`);
        await run(`delete from ${name}.plinth_relays where owner <> ${living}`);
      }
    },
    async stop() {
      await running.stop();
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

export function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "plinth-shop-"));
}

export function mailFolderOf(folder: string): string {
  return join(folder, "mail");
}
