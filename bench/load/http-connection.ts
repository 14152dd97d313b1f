import { connect, type Socket } from "node:net";

/** One kept connection, one request at a time. Reads what it must of an answer: its status, and where it ends. */
export interface HttpConnection {
  readonly isBusy: boolean;
  /** Undefined: the connection broke first. Called once for each `send`. */
  send(bytes: Buffer, onAnswer: (status: number | undefined) => void): void;
  destroy(): void;
}

export function openConnection(port: number, host: string, onClose: () => void): HttpConnection {
  const socket: Socket = connect({ port, host, noDelay: true });
  let waiting: ((status: number | undefined) => void) | undefined;
  let head = "";
  /** Of the body, still to come; undefined while the head is. */
  let leftBytes: number | undefined;
  let status = 0;

  const finish = (result: number | undefined): void => {
    const told = waiting;
    waiting = undefined;
    leftBytes = undefined;
    head = "";
    told?.(result);
  };
  const readHead = (chunk: Buffer): number => {
    head += chunk.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) return 0;
    const before = head.length - chunk.length;
    status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end + 2))?.[1];
    if (length === undefined && status !== 204 && status !== 304) throw new Error(`no length: ${head.slice(0, 200)}`);
    leftBytes = status === 204 || status === 304 ? 0 : Number(length);
    return end + 4 - before;
  };
  socket.on("data", (chunk: Buffer) => {
    let at = 0;
    if (leftBytes === undefined) at = readHead(chunk);
    if (leftBytes === undefined) return;
    leftBytes -= chunk.length - at;
    if (leftBytes <= 0) finish(status);
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    onClose();
    finish(undefined);
  });
  return {
    get isBusy() {
      return waiting !== undefined;
    },
    send(bytes, onAnswer) {
      waiting = onAnswer;
      socket.write(bytes);
    },
    destroy: () => socket.destroy(),
  };
}
