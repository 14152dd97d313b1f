import type { PlinthError, Random } from "../base/index.ts";
import type { Reader } from "../wire/index.ts";
import { writeValue } from "../wire/index.ts";
import type { Connection } from "./connection.ts";
import { protocolBroken, secretRefused, versionRefused } from "./errors.ts";
import type { Hello } from "./handshake.ts";
import { challengeMessage, matchingKey, proofOf, readHello, readMessage, transcriptOf } from "./handshake.ts";
import type { TableRow } from "./method.ts";
import { frameKind, protocolVersions } from "./protocol.ts";

export interface GreeterOptions {
  readonly name: string;
  readonly frameBytes: number;
  readonly keys: readonly Buffer[];
  readonly table: readonly TableRow[];
  readonly random: Random;
  /** The client has proved the secret. */
  onWelcome(client: Hello): void;
}

/** The server's side of the handshake on one connection. Throws what ends the connection. */
export class Greeter {
  readonly #connection: Connection;
  readonly #options: GreeterOptions;
  #hello: Hello | undefined = undefined;
  #transcript: Buffer | undefined = undefined;

  constructor(connection: Connection, options: GreeterOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  onFrame(kind: number, payload: Reader): void {
    if (kind === frameKind.hello && !this.#hello) this.#challenge(payload);
    else if (kind === frameKind.proof && this.#hello && this.#transcript) this.#verify(payload, this.#hello);
    else throw protocolBroken(`a frame of kind ${kind} does not belong into the handshake here`);
  }

  #challenge(payload: Reader): void {
    const { name, frameBytes, random } = this.#options;
    const helloBytes = Buffer.from(payload.bytes.subarray(payload.at, payload.end));
    const hello = readHello(payload);
    const version = Math.max(...protocolVersions.filter((each) => hello.versions.includes(each)));
    if (!Number.isFinite(version)) {
      const error = versionRefused(
        `we speak ${protocolVersions.join()}, "${hello.name}" speaks ${hello.versions.join()}`,
      );
      this.#reject(error, `this server speaks version ${protocolVersions.join()}`);
      return;
    }
    this.#hello = hello;
    const { writer } = this.#connection;
    const mark = this.#connection.begin(frameKind.challenge);
    const from = writer.length;
    writeValue(writer, challengeMessage(version, { name, frameBytes }, random));
    const challengeBytes = Buffer.from(writer.bytes.subarray(writer.at - (writer.length - from), writer.at));
    this.#connection.end(mark);
    this.#transcript = transcriptOf(helloBytes, challengeBytes, this.#connection.socket);
  }

  #verify(payload: Reader, hello: Hello): void {
    const transcript = this.#transcript as Buffer;
    const key = matchingKey(this.#options.keys, "client", transcript, readMessage(payload).proof);
    if (!key) {
      this.#reject(secretRefused("the server"), "the proof of the shared secret does not hold");
      return;
    }
    this.#connection.send(frameKind.welcome, (writer) => {
      writeValue(writer, { proof: proofOf(key, "server", transcript), methods: this.#options.table });
    });
    this.#options.onWelcome(hello);
  }

  #reject(error: PlinthError, message: string): void {
    this.#connection.send(frameKind.reject, (writer) => writeValue(writer, { reason: error.reason, message }));
    this.#connection.finish(error);
  }
}
