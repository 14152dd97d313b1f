import { StartError } from "../base/index.ts";

export interface Address {
  /** As written: "orders:7101", "127.0.0.1:7101", "[::1]:7101". */
  readonly text: string;
  readonly host: string;
  readonly port: number;
}

/** Throws StartError RPC_ADDRESS_WRONG, naming each one that is wrong. */
export function parseAddresses(texts: readonly string[]): readonly Address[] {
  if (texts.length === 0)
    throw new StartError("RPC_ADDRESS_WRONG", 'rpc: "addresses" is empty: name at least one host:port');
  const parsed = texts.map(parseAddress);
  const wrong = texts.filter((_, place) => !parsed[place]);
  if (wrong.length > 0) {
    throw new StartError(
      "RPC_ADDRESS_WRONG",
      wrong.map((text) => `rpc: ${JSON.stringify(text)} is no address: write host:port, for instance "orders:7101"`),
    );
  }
  return parsed.filter((address) => address !== undefined);
}

function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) return undefined;
  return { text, host: (match[1] ?? match[2]) as string, port };
}
