import {
  credentials,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { announceCaller } from "../../call/calling.ts";
import type { Message } from "../../call/message.ts";
import { announce } from "../../child.ts";

/** gRPC by @grpc/grpc-js, unary calls over one channel, its messages by @grpc/proto-loader. */
const [side = "", address = ""] = process.argv.slice(2);

const definition = loadSync("call/echo.proto", { keepCase: true, longs: String, defaults: true });
const { bench } = loadPackageDefinition(definition) as unknown as { bench: { Echo: ServiceClientConstructor } };

interface Envelope {
  readonly message: Message;
}

type Answer = (error: Error | null, envelope: Envelope) => void;

if (side === "callee") {
  const server = new Server();
  server.addService(bench.Echo.service, {
    Exchange({ request }: { request: Envelope }, answer: Answer) {
      answer(null, { message: request.message });
    },
  });
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (failure, port) => {
    if (failure) throw failure;
    announce({ address: `127.0.0.1:${port}` });
  });
} else {
  const client = new bench.Echo(address, credentials.createInsecure()) as unknown as {
    Exchange(envelope: Envelope, then: Answer): void;
  };
  announceCaller(
    (message) =>
      new Promise((resolve, reject) => {
        client.Exchange({ message }, (failure, envelope) => {
          if (failure) reject(failure);
          else resolve(envelope.message);
        });
      }),
  );
}
