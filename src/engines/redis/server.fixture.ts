import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";

/** A reply in RESP. Undefined: none, the server hangs. */
export type Answer = (command: readonly string[], socket: Socket) => string | undefined;

export interface FakeServer {
  readonly url: URL;
  readonly commands: string[][];
  readonly connectionCount: number;
  answer: Answer;
  /** Somebody began to speak TLS, and was cut off. */
  sawTls: boolean;
  /** Cuts all connections. */
  cut(): void;
  close(): Promise<void>;
}

/** The first byte of a TLS record that begins a connection. */
const tlsHandshake = 0x16;

export const ok: Answer = () => "+OK\r\n";

/** For this room's tests: speaks just enough of Redis's protocol to be connected to, and to misbehave. */
export async function startFakeServer(answer: Answer = ok, port = 0): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  let connectionCount = 0;
  const server = createServer((socket) => {
    connectionCount++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    let text = "";
    socket.on("data", (chunk) => {
      if (chunk[0] === tlsHandshake) {
        fake.sawTls = true;
        socket.destroy();
        return;
      }
      text += chunk.toString("latin1");
      for (;;) {
        const parsed = takeCommand(text);
        if (!parsed) return;
        text = parsed.rest;
        fake.commands.push(parsed.command);
        const reply = fake.answer(parsed.command, socket);
        if (reply !== undefined) socket.write(reply);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const fake: FakeServer = {
    url: new URL(`redis://127.0.0.1:${(server.address() as AddressInfo).port}`),
    commands: [],
    get connectionCount() {
      return connectionCount;
    },
    answer,
    sawTls: false,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      this.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

function takeCommand(text: string): { command: string[]; rest: string } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (!head) return undefined;
  let at = head[0].length;
  const command: string[] = [];
  for (let i = 0; i < Number(head[1]); i++) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at));
    if (!size) return undefined;
    const start = at + size[0].length;
    at = start + Number(size[1]) + 2;
    if (text.length < at) return undefined;
    command.push(text.slice(start, at - 2));
  }
  return { command, rest: text.slice(at) };
}
