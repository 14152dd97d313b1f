import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Random } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { Reader } from "../wire/index.ts";
import { readValue } from "../wire/index.ts";
import { protocolBroken } from "./errors.ts";
import { protocolFeatures, protocolName } from "./protocol.ts";

/**
 * Both sides prove that they know the shared secret, and neither sends it.
 *
 *     client → hello      protocol, versions, name, 32 random bytes, features, frame limit
 *     server → challenge  version, name, 32 random bytes, features, frame limit
 *     client → proof      HMAC-SHA256(key, "client" | transcript)
 *     server → welcome    HMAC-SHA256(key, "server" | transcript), methods and fingerprints
 *
 * The transcript is the hash of both first messages as they were sent, so nothing in them can be changed on the way; with
 * TLS it also holds the channel's exporter value (RFC 5705), so a proof is of no use on another channel. The words
 * "client" and "server" keep a proof from being sent back. The client proves first: a stranger who connects gets nothing
 * to guess secrets against. Proofs are compared in constant time.
 *
 * Several secrets may be valid at once, so that one can be changed without a stop: add the new one as second
 * everywhere, put it first everywhere, then drop the old. A side proves with its first, or with the one that matched.
 */
export const nonceBytes = 32;

/** Shorter ones can be guessed by whoever gets hold of one handshake. */
export const secretCharsMin = 16;

/** Frames before the proof are at most so large. */
export const handshakeFrameBytes = 16 * 1024;

export type Role = "client" | "server";

/** The keys of the secrets. Throws StartError RPC_SECRET_WEAK. */
export function keysOf(secret: string | readonly string[]): readonly Buffer[] {
  const secrets = [secret].flat();
  if (secrets.length === 0 || secrets.some((each) => typeof each !== "string" || each.length < secretCharsMin)) {
    throw new StartError(
      "RPC_SECRET_WEAK",
      `rpc: "secret" needs at least ${secretCharsMin} characters: generate one, for instance with "openssl rand -hex 32"`,
    );
  }
  return secrets.map((each) => createHmac("sha256", each).update(`${protocolName} 1 key`).digest());
}

/** What each side tells of itself. */
export interface Introduction {
  readonly name: string;
  readonly features: readonly string[];
  /** The largest frame that it takes. */
  readonly frameBytes: number;
}

/** Throws StartError RPC_LIMIT_WRONG for a frame limit that no handshake fits into. */
export function requireFrameBytes(frameBytes: number): void {
  if (frameBytes >= handshakeFrameBytes) return;
  const problem = `rpc: "limits.frameBytes" is ${frameBytes}: give at least ${handshakeFrameBytes}`;
  throw new StartError("RPC_LIMIT_WRONG", problem);
}

export interface Hello extends Introduction {
  readonly versions: readonly number[];
}

export interface Challenge extends Introduction {
  readonly version: number;
}

type Self = Pick<Introduction, "name" | "frameBytes">;

export function helloMessage(versions: readonly number[], self: Self, random: Random): Record<string, unknown> {
  return { protocol: protocolName, versions, ...introduction(self, random) };
}

export function challengeMessage(version: number, self: Self, random: Random): Record<string, unknown> {
  return { version, ...introduction(self, random) };
}

function introduction({ name, frameBytes }: Self, random: Random): Record<string, unknown> {
  return { name, nonce: random.fill(new Uint8Array(nonceBytes)), features: protocolFeatures, frameBytes };
}

export function readHello(payload: Reader): Hello {
  const message = readMessage(payload);
  const versions = message.versions;
  const isHello = message.protocol === protocolName && Array.isArray(versions) && isNonce(message.nonce);
  if (!isHello) throw protocolBroken("this is no hello");
  return { versions: versions.filter((each) => typeof each === "number"), ...readIntroduction(message) };
}

export function readChallenge(payload: Reader): Challenge {
  const message = readMessage(payload);
  if (typeof message.version !== "number" || !isNonce(message.nonce)) throw protocolBroken("this is no challenge");
  return { version: message.version, ...readIntroduction(message) };
}

/** Any message of the handshake is an object in the self-describing form. */
export function readMessage(payload: Reader): Readonly<Record<string, unknown>> {
  payload.depth = 0;
  const message = readValue(payload);
  payload.finish();
  if (typeof message !== "object" || message === null) throw protocolBroken("a handshake message is no object");
  return message as Record<string, unknown>;
}

/** What a proof is over: both messages as they were on the wire, and the channel. */
export function transcriptOf(hello: Uint8Array, challenge: Uint8Array, socket: Socket): Buffer {
  const hash = createHash("sha256");
  hash.update(createHash("sha256").update(hello).digest());
  hash.update(createHash("sha256").update(challenge).digest());
  if (socket instanceof TLSSocket) {
    hash.update(socket.exportKeyingMaterial(32, `EXPORTER-${protocolName}`, Buffer.alloc(0)));
  }
  return hash.digest();
}

export function proofOf(key: Buffer, role: Role, transcript: Buffer): Buffer {
  return createHmac("sha256", key).update(`${role}\0`).update(transcript).digest();
}

/** The key with which `proof` was made, if it is one of ours. Looks at all of them, in constant time each. */
export function matchingKey(
  keys: readonly Buffer[],
  role: Role,
  transcript: Buffer,
  proof: unknown,
): Buffer | undefined {
  if (!(proof instanceof Uint8Array) || proof.byteLength !== 32) return undefined;
  return keys.filter((key) => timingSafeEqual(proofOf(key, role, transcript), proof))[0];
}

function isNonce(value: unknown): boolean {
  return value instanceof Uint8Array && value.byteLength === nonceBytes;
}

function readIntroduction(message: Readonly<Record<string, unknown>>): Introduction {
  const { name, features, frameBytes } = message;
  if (typeof frameBytes !== "number" || !(frameBytes >= handshakeFrameBytes)) {
    throw protocolBroken(`a frame limit is at least ${handshakeFrameBytes} bytes`);
  }
  const list = Array.isArray(features) ? features.filter((each): each is string => typeof each === "string") : [];
  return { name: typeof name === "string" ? name.slice(0, 200) : "", features: list, frameBytes };
}
