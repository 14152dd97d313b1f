/** What an attacker is told to do, and what it tells of it. */
export interface Order {
  readonly kind: AttackKind;
  readonly port: number;
  /** Connections at a time. */
  readonly count: number;
  readonly seconds: number;
  /** PEM of the certificate, where TLS is spoken. */
  readonly ca?: string;
}

export type AttackKind =
  | "slow headers"
  | "slow body"
  | "slow reader"
  | "idle sockets"
  | "huge headers"
  | "smuggling"
  | "silent handshakes"
  | "rapid reset";

export interface Report {
  /** Connections that were open, all told. */
  readonly opened: number;
  /** Of those, ended by the server. */
  readonly cut: number;
  /** Of those still open when the attack ended. */
  readonly open: number;
  /** The longest time from a connection's beginning until the server ended it, in ms. */
  readonly longestMs: number;
  /** Answers by status. */
  readonly answers: Readonly<Record<string, number>>;
}
