import "reflect-metadata";
import { createServer } from "node:net";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientProxyFactory, MessagePattern, Payload, Transport } from "@nestjs/microservices";
import { firstValueFrom } from "rxjs";
import { announceCaller } from "../../call/calling.ts";
import type { Message } from "../../call/message.ts";
import { announce } from "../../child.ts";

/** A NestJS microservice over its TCP transport, and its client. It checks nothing: no pipe is set. */
const [side = "", address = ""] = process.argv.slice(2);

interface Envelope {
  readonly message: Message;
}

@Controller()
class EchoController {
  @MessagePattern("exchange")
  exchange(@Payload() { message }: Envelope): Envelope {
    return { message };
  }
}

@Module({ controllers: [EchoController] })
class EchoModule {}

if (side === "callee") {
  const port = await freePort();
  const server = await NestFactory.createMicroservice(EchoModule, {
    transport: Transport.TCP,
    options: { host: "127.0.0.1", port },
    logger: false,
  });
  await server.listen();
  announce({ address: `127.0.0.1:${port}` });
} else {
  const [host = "", port = ""] = address.split(":");
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host, port: Number(port) } });
  await client.connect();
  announceCaller(async (message) => (await firstValueFrom(client.send<Envelope>("exchange", { message }))).message);
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
