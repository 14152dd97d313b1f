import { createServer } from "node:net";
import { ServiceBroker } from "moleculer";
import { announceCaller } from "../../call/calling.ts";
import type { Message } from "../../call/message.ts";
import { announce } from "../../child.ts";

/** Moleculer over its TCP transporter, its parameters checked by its own validator. */
const [side = "", address = ""] = process.argv.slice(2);

interface Envelope {
  readonly message: Message;
}

const strict = (props: object) => ({ type: "object", props });
const params = {
  message: strict({
    id: "string",
    sentAt: { type: "string", empty: true },
    sender: strict({ name: { type: "string", empty: true }, email: { type: "string", empty: true } }),
    lines: { type: "array", items: strict({ sku: "string", quantity: "number", price: "number" }) },
    urgent: "boolean",
    note: { type: "string", empty: true },
  }),
};

if (side === "callee") {
  const port = await freePort();
  const broker = new ServiceBroker({
    nodeID: "callee",
    logger: false,
    transporter: { type: "TCP", options: { udpDiscovery: false, port } },
  });
  broker.createService({
    name: "echo",
    actions: { exchange: { params, handler: ({ params: { message } }: { params: Envelope }) => ({ message }) } },
  });
  await broker.start();
  announce({ address: `tcp://127.0.0.1:${port}/callee` });
} else {
  const broker = new ServiceBroker({
    nodeID: "caller",
    logger: false,
    transporter: { type: "TCP", options: { udpDiscovery: false, urls: [address] } },
  });
  await broker.start();
  await broker.waitForServices("echo", 10_000);
  announceCaller(async (message) => (await broker.call<Envelope, Envelope>("echo.exchange", { message })).message);
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
