import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { AnswerReader } from "./answer-reader.ts";

/** One kept connection, one request at a time. */
export interface HttpConnection {
  /** Undefined: the connection broke first, or what came was no answer. Called once for each `send`. */
  send(bytes: Buffer, onAnswer: (status: number | undefined) => void): void;
  /** The server has said that it takes no more on this one. */
  readonly isLast: boolean;
  destroy(): void;
}

export interface Origin {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

export function openConnection({ protocol, host, port }: Origin, onClose: () => void): HttpConnection {
  const socket: Socket = protocol === "https:" ? connectTls({ port, host, servername: host }) : connect({ port, host });
  const reader = new AnswerReader();
  let waiting: ((status: number | undefined) => void) | undefined;

  const finish = (result: number | undefined): void => {
    const told = waiting;
    waiting = undefined;
    told?.(result);
  };
  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    try {
      if (reader.read(chunk)) finish(reader.status);
    } catch {
      socket.destroy();
    }
  });
  socket.on("error", () => {});
  socket.on("end", () => {
    if (reader.end()) finish(reader.status);
  });
  socket.on("close", () => {
    onClose();
    finish(undefined);
  });
  return {
    get isLast() {
      return reader.isLast;
    },
    send(bytes, onAnswer) {
      waiting = onAnswer;
      socket.write(bytes);
    },
    destroy: () => socket.destroy(),
  };
}
