import type { Socket } from "node:net";

/** Ends a connection with a reset, as the kernel of a dead process does. */
export function reset(socket: Socket): void {
  // What was ended in order cannot be reset any more: libuv refuses it, and would never close the handle.
  if (socket.writableEnded) socket.destroy();
  else if (!socket.destroyed) socket.resetAndDestroy();
}
