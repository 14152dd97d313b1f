/** For tests: HTTP/2 as bytes, for what no client library would send. */
export const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** One frame (RFC 9113, 4.1). */
export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

export function settingsFrame(): Buffer {
  return frame(4, 0, 0, Buffer.alloc(0));
}

/** A header field that neither side remembers (RFC 7541, 6.2.2), in plain bytes. */
export function literalHeader(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

/** HEADERS of a whole request. */
export function getHeaders(
  streamId: number,
  path: string,
  method = "GET",
  endStream = true,
  extra: readonly Buffer[] = [],
): Buffer {
  const block = Buffer.concat([
    literalHeader(":method", method),
    literalHeader(":scheme", "https"),
    literalHeader(":path", path),
    literalHeader(":authority", "localhost"),
    ...extra,
  ]);
  return frame(1, endStream ? 5 : 4, streamId, block);
}

function text(given: string): Buffer {
  const bytes = Buffer.from(given, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  // An integer that does not fit into seven bits (RFC 7541, 5.1).
  const length: number[] = [127];
  let rest = bytes.length - 127;
  while (rest >= 128) {
    length.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}
