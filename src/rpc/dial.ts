import { lookup as resolve } from "node:dns";
import type { LookupFunction, Socket } from "node:net";
import { connect } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { connect as connectTls } from "node:tls";
import type { Clock, PlinthError, Random } from "../base/index.ts";
import type { Reader } from "../wire/index.ts";
import { writeValue } from "../wire/index.ts";
import type { Address } from "./address.ts";
import { Channel } from "./channel.ts";
import type { RpcClientLimits } from "./client-limits.ts";
import { Connection } from "./connection.ts";
import { connectionLost, handshakeTimeout, protocolBroken, secretRefused, versionRefused } from "./errors.ts";
import type { Challenge } from "./handshake.ts";
import {
  handshakeFrameBytes,
  helloMessage,
  matchingKey,
  proofOf,
  readChallenge,
  readMessage,
  transcriptOf,
} from "./handshake.ts";
import type { CompiledMethod } from "./method.ts";
import { matchTable } from "./method.ts";
import { frameKind, protocolVersions } from "./protocol.ts";

export interface DialOptions {
  readonly name: string;
  readonly keys: readonly Buffer[];
  readonly tls: { readonly context: SecureContextOptions; readonly serverName: string | undefined } | undefined;
  readonly methods: readonly CompiledMethod[];
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: RpcClientLimits;
}

export interface DialEvents {
  /** Connected and authenticated, both ways. */
  onReady(channel: Channel, serverName: string): void;
  /** The server asked us to send no new calls there. It answers those that come until `channel.leave`. */
  onLeave(channel: Channel): void;
  /** Once, whether it was ready or not. */
  onClose(reason: PlinthError): void;
}

/** Connects to one address and shakes hands. Returns what gives up. */
export function dial(options: DialOptions, address: Address, events: DialEvents): (reason: PlinthError) => void {
  const { clock, limits, tls } = options;
  const { host, port } = address;
  const lookup = anyOf(options.random);
  const socket: Socket = tls
    ? connectTls({
        lookup,
        ...tls.context,
        host,
        port,
        servername: tls.serverName ?? serverNameOf(host),
        rejectUnauthorized: true,
      })
    : connect({ host, port, lookup });
  let state: Dialled | undefined;
  let isClosed = false;
  const closeOnce = (reason: PlinthError): void => {
    if (isClosed) return;
    isClosed = true;
    cancelTimer();
    socket.destroy();
    events.onClose(reason);
  };
  const timeoutMs = limits.connectMs;
  let cancelTimer = clock.after(timeoutMs, () => closeOnce(handshakeTimeout(timeoutMs)));
  const onEarlyError = (cause: Error) => closeOnce(connectionLost("no", cause));
  socket.on("error", onEarlyError);
  socket.once("close", () => closeOnce(connectionLost("no", undefined)));
  socket.once(tls ? "secureConnect" : "connect", () => {
    if (isClosed) return;
    cancelTimer();
    cancelTimer = clock.after(limits.handshakeMs, () => closeOnce(handshakeTimeout(limits.handshakeMs)));
    state = new Dialled(socket, options, {
      onReady(channel, serverName) {
        cancelTimer();
        events.onReady(channel, serverName);
      },
      onLeave: (channel) => events.onLeave(channel),
      onClose: closeOnce,
    });
  });
  return (reason) => {
    if (state) state.connection.close(reason);
    closeOnce(reason);
  };
}

/** A name may stand for many instances: each connection begins with another of them. */
function anyOf(random: Random): LookupFunction {
  return (name, options, callback) => {
    resolve(name, { ...options, all: true }, (cause, found) => {
      const from = Math.floor(random.next() * (found?.length ?? 0));
      const turned = [...(found ?? []).slice(from), ...(found ?? []).slice(0, from)];
      const first = turned[0];
      if (options.all || !first) callback(cause, turned);
      else callback(null, first.address, first.family);
    });
  };
}

/** TLS knows names only: an IP address has no server name, and is checked against the certificate's addresses. */
function serverNameOf(host: string): string {
  return /^[\d.]+$|:/.test(host) ? "" : host;
}

/** The client's side of the handshake on a socket that is connected. */
class Dialled {
  readonly connection: Connection;
  readonly #options: DialOptions;
  readonly #events: DialEvents;
  #helloBytes: Buffer;
  #challenge: Challenge | undefined = undefined;
  #transcript: Buffer | undefined = undefined;
  #channel: Channel | undefined = undefined;

  constructor(socket: Socket, options: DialOptions, events: DialEvents) {
    const { clock, limits, name, random } = options;
    this.#options = options;
    this.#events = events;
    this.connection = new Connection({
      socket,
      clock,
      keepAliveMs: limits.keepAliveMs,
      frameBytes: limits.frameBytes,
      handshakeFrameBytes,
      onFrame: (kind, payload) => this.#onFrame(kind, payload),
      onClose: (reason) => {
        this.#channel?.onClose(reason);
        events.onClose(reason);
      },
    });
    const { writer } = this.connection;
    const mark = this.connection.begin(frameKind.hello);
    const from = writer.at;
    writeValue(writer, helloMessage(protocolVersions, { name, frameBytes: limits.frameBytes }, random));
    this.#helloBytes = Buffer.from(writer.bytes.subarray(from, writer.at));
    this.connection.end(mark);
  }

  #onFrame(kind: number, payload: Reader): void {
    if (this.#channel) this.#channel.onFrame(kind, payload);
    else if (kind === frameKind.reject) throw rejectionOf(readMessage(payload));
    else if (kind === frameKind.challenge && !this.#challenge) this.#prove(payload);
    else if (kind === frameKind.welcome && this.#challenge) this.#enter(payload, this.#challenge);
    else throw protocolBroken(`a frame of kind ${kind} does not belong into the handshake here`);
  }

  #prove(payload: Reader): void {
    const challengeBytes = Buffer.from(payload.bytes.subarray(payload.at, payload.end));
    const challenge = readChallenge(payload);
    if (!protocolVersions.includes(challenge.version)) {
      throw versionRefused(`the server chose version ${challenge.version}, we speak ${protocolVersions.join()}`);
    }
    this.#challenge = challenge;
    const transcript = transcriptOf(this.#helloBytes, challengeBytes, this.connection.socket);
    this.#transcript = transcript;
    this.connection.send(frameKind.proof, (writer) => {
      writeValue(writer, { proof: proofOf(this.#options.keys[0] as Buffer, "client", transcript) });
    });
    // The welcome carries the table of methods.
    this.connection.openUp(challenge.frameBytes);
  }

  #enter(payload: Reader, challenge: Challenge): void {
    const { clock, keys, limits, methods, name } = this.#options;
    const welcome = readMessage(payload);
    if (!matchingKey(keys, "server", this.#transcript as Buffer, welcome.proof)) throw secretRefused("the client");
    this.#channel = new Channel({
      connection: this.connection,
      clock,
      clientName: name,
      methods,
      remote: matchTable(methods, welcome.methods),
      callCountMax: limits.callsPerConnection,
      pendingBytesMax: limits.pendingBytes,
      window: { items: limits.streamItems, bytes: limits.streamBytes },
      onLeave: (channel) => this.#events.onLeave(channel),
      hasStreams: challenge.features.includes("streams"),
      hasPositions: challenge.features.includes("positions"),
      hasCriticality: challenge.features.includes("criticality"),
      hasTraces: challenge.features.includes("traces"),
    });
    this.#events.onReady(this.#channel, challenge.name);
  }
}

/** What a server says before it closes. It has proved nothing yet: its words go to the log only. */
function rejectionOf(message: Readonly<Record<string, unknown>>): PlinthError {
  if (message.reason === "RPC_SECRET_REFUSED") return secretRefused("the server");
  if (message.reason === "RPC_VERSION_REFUSED") return versionRefused(String(message.message).slice(0, 200));
  return protocolBroken(`the server refused us: ${String(message.message).slice(0, 200)}`);
}
