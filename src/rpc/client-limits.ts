import { frameBytesMax } from "../wire/index.ts";

export interface RpcClientLimits {
  /** Of one message, both ways, at least 16 KiB. Above: FRAME_TOO_LARGE; each side knows the other's limit. 4 MiB. */
  readonly frameBytes: number;
  /** 1: on loopback a second one costs more (fewer frames to a write) than it brings. */
  readonly connectionsPerAddress: number;
  /** Calls in flight on one connection. When all are full: RPC_CLIENT_BUSY. 1,024. */
  readonly callsPerConnection: number;
  /** Bytes that a server has not taken; above, no further calls go there. 8 MiB. */
  readonly pendingBytes: number;
  /** Calls that may wait for a connection. Above: RPC_QUEUE_FULL. 1,024. */
  readonly queuedCalls: number;
  /** For how long after the last connection was lost, or the first wanted, calls wait. Then RPC_UNREACHABLE at once. 1 s. */
  readonly queueMs: number;
  /** For how long a server that leaves is still called while there is no other. 3 s. */
  readonly leaveMs: number;
  /** After so long, give or take a fifth, a connection is replaced by a new one, whose host name is resolved anew. 5 min. */
  readonly connectionMs: number;
  readonly connectMs: number;
  readonly handshakeMs: number;
  /** The period of pings on a silent connection; after two, it is given up. 5 s. */
  readonly keepAliveMs: number;
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** What a stream's server may be ahead of its consumer: items, and bytes (of which by one item more). 32, 1 MiB. */
  readonly streamItems: number;
  readonly streamBytes: number;
}

export const defaultClientLimits: RpcClientLimits = {
  frameBytes: frameBytesMax,
  connectionsPerAddress: 1,
  callsPerConnection: 1024,
  pendingBytes: 8 * 1024 * 1024,
  queuedCalls: 1024,
  queueMs: 1000,
  leaveMs: 3000,
  connectionMs: 300_000,
  connectMs: 1000,
  handshakeMs: 5000,
  keepAliveMs: 5000,
  backoffMsMin: 50,
  backoffMsMax: 2000,
  streamItems: 32,
  streamBytes: 1024 * 1024,
};
