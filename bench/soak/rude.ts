import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Sends a request a few bytes at a time, and takes its answer. */
export async function sendSlowly(url: string): Promise<void> {
  const socket = open(url);
  const text = "GET /items/thing-1 HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
  socket.resume();
  for (let at = 0; at < text.length; at += 8) {
    if (socket.destroyed) return;
    socket.write(text.slice(at, at + 8));
    await sleep(300);
  }
  if (!socket.closed) await once(socket, "close");
}

/** Asks for something, and is gone before it is answered: in the middle of a body, or while it waits. */
export async function leave(url: string): Promise<void> {
  const socket = open(url);
  const isMidway = Math.random() < 0.5;
  socket.write(
    isMidway
      ? "POST /orders HTTP/1.1\r\nhost: shop.example\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"
      : "GET /slow HTTP/1.1\r\nhost: shop.example\r\n\r\n",
  );
  await sleep(100);
  if (isMidway) socket.destroy();
  else socket.resetAndDestroy();
}

function open(url: string) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  // The server may hang up on one that is too slow.
  socket.on("error", () => {});
  return socket;
}
