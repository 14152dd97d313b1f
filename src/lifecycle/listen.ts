import type { AddressInfo, Server } from "node:net";
import { StartError } from "../base/index.ts";

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Who listens, for the message: "management". */
  readonly what: string;
  /** The setting to change, for the message: "MANAGEMENT_PORT". */
  readonly setting: string;
}

/**
 * Listens; resolves to the port. A port that cannot be had is a StartError that names it, and the remedy: `PORT_IN_USE`,
 * `PORT_FORBIDDEN`, `HOST_UNUSABLE`, or `PORT_WRONG`.
 */
export function listen(server: Server, options: ListenOptions): Promise<number> {
  const { host, port, what, setting } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    const problem = `${what}: ${port} is no port. Set ${setting} to a number from 1 to 65535, or to 0 for any free one.`;
    return Promise.reject(new StartError("PORT_WRONG", problem));
  }
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => reject(refusal(cause, options));
    server.once("error", onError);
    server.listen({ host, port }, () => {
      server.off("error", onError);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function refusal(cause: NodeJS.ErrnoException, { host, port, what, setting }: ListenOptions): StartError {
  const place = `${what}: port ${port} on ${host}`;
  if (cause.code === "EADDRINUSE") {
    const remedy = `Stop that program, or set ${setting} to another port (0 takes any free one).`;
    return new StartError("PORT_IN_USE", `${place} is in use by another program. ${remedy}`, { cause });
  }
  if (cause.code === "EACCES") {
    const remedy = `Set ${setting} to a port above 1023.`;
    return new StartError("PORT_FORBIDDEN", `${place} may not be used by this user. ${remedy}`, { cause });
  }
  const remedy = 'Set the host to an address of this machine, such as "127.0.0.1" or "0.0.0.0".';
  return new StartError("HOST_UNUSABLE", `${place} cannot be listened on (${cause.code}). ${remedy}`, { cause });
}
