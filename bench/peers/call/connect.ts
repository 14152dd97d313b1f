import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createFileRegistry, type DescService, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { loadSync } from "@grpc/proto-loader";
import { announceCaller } from "../../call/calling.ts";
import type { Message } from "../../call/message.ts";
import { announce } from "../../child.ts";

/**
 * Connect by @connectrpc/connect-node: its own protocol over HTTP/1.1, in binary: over HTTP/2 it made fewer calls where this was written. The descriptors are read from the same file
 * as gRPC's when the program starts; what buf generates holds the same ones.
 */
const [side = "", address = ""] = process.argv.slice(2);

const loaded = loadSync("call/echo.proto")["bench.Envelope"] as unknown as { fileDescriptorProtos: Buffer[] };
const [file] = loaded.fileDescriptorProtos;
if (!file) throw new Error("call/echo.proto has no descriptor");
const descriptor = fromBinary(FileDescriptorProtoSchema, file);
// The loader leaves names as they stand in the file; a descriptor has them in full.
const inFull = (name: string) => (name === "" || name.startsWith(".") ? name : `.bench.${name}`);
for (const field of descriptor.messageType.flatMap((message) => message.field)) field.typeName = inFull(field.typeName);
for (const method of descriptor.service.flatMap((service) => service.method)) {
  method.inputType = inFull(method.inputType);
  method.outputType = inFull(method.outputType);
}
const registry = createFileRegistry(descriptor, () => undefined);
const echo = registry.getService("bench.Echo") as DescService;

if (side === "callee") {
  const exchange = async (request: unknown) => request;
  const server = createServer(
    connectNodeAdapter({ routes: (router) => router.service(echo, { exchange } as never) }) as never,
  );
  server.listen(0, "127.0.0.1", () => {
    announce({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
} else {
  const transport = createConnectTransport({ baseUrl: address, httpVersion: "1.1", useBinaryFormat: true });
  const client = createClient(echo, transport) as unknown as {
    exchange(envelope: { message: Message }): Promise<{ message: object }>;
  };
  announceCaller(async (message) => (await client.exchange({ message })).message as Message);
}
