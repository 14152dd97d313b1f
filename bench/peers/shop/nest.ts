import "reflect-metadata";
import { createServer } from "node:net";
import { NestFactory } from "@nestjs/core";
import { Transport } from "@nestjs/microservices";
import { announce } from "../../child.ts";
import { countOrders } from "../../shop/store.ts";
import { startGateway } from "./nest-gateway.ts";
import { CartModule, CatalogModule, CheckoutModule } from "./nest-services.ts";

/** `nest.ts gateway`, or one of the services: the one that it calls is at SHOP_OTHER. */
const [name = ""] = process.argv.slice(2);
const modules: Readonly<Record<string, new () => object>> = {
  catalog: CatalogModule,
  cart: CartModule,
  checkout: CheckoutModule,
};

if (name === "gateway") announce({ url: await startGateway() });
else {
  const port = await freePort();
  const server = await NestFactory.createMicroservice(modules[name] as new () => object, {
    transport: Transport.TCP,
    options: { host: "127.0.0.1", port },
  });
  await server.listen();
  announce({ url: `127.0.0.1:${port}` }, { orders: () => countOrders() });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
