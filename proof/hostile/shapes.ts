/** Requests that hide another, `GET /hidden`, from a reader who cuts messages in another way. One must be refused whole. */
export interface Shape {
  readonly name: string;
  readonly bytes: string;
}

const hidden = "GET /hidden HTTP/1.1\r\nHost: target\r\n\r\n";
const post = "POST /echo HTTP/1.1\r\nHost: target\r\nContent-Type: application/json\r\n";
const chunked = (headers: string) => `${post}${headers}\r\n0\r\n\r\n${hidden}`;

export const smuggled: readonly Shape[] = [
  { name: "a length and chunks", bytes: chunked("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") },
  { name: "chunks and a length", bytes: chunked("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") },
  { name: "two lengths", bytes: `${post}Content-Length: 0\r\nContent-Length: 39\r\n\r\n${hidden}` },
  { name: "a list of lengths", bytes: `${post}Content-Length: 0, 39\r\n\r\n${hidden}` },
  { name: "a length with a sign", bytes: `${post}Content-Length: +0\r\n\r\n${hidden}` },
  { name: "a length in hexadecimal", bytes: `${post}Content-Length: 0x0\r\n\r\n${hidden}` },
  { name: "a coding with a blank before its colon", bytes: chunked("Transfer-Encoding : chunked\r\n") },
  { name: "a coding with a tab", bytes: chunked("Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n") },
  { name: "a coding that nobody knows", bytes: chunked("Transfer-Encoding: xchunked\r\n") },
  { name: "two codings", bytes: chunked("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") },
  { name: "a coding behind a vertical tab", bytes: chunked("Transfer-Encoding: \x0bchunked\r\n") },
  { name: "a folded coding", bytes: chunked("Transfer-Encoding:\r\n chunked\r\n") },
  { name: "line feeds alone", bytes: `POST /echo HTTP/1.1\nHost: target\nContent-Length: 0\n\n${hidden}` },
  { name: "a header without a colon", bytes: `${post}Content-Length 0\r\n\r\n${hidden}` },
  { name: "a NUL in a header", bytes: `${post}X: a\0b\r\nContent-Length: 0\r\n\r\n${hidden}` },
  { name: "two hosts", bytes: `GET /hello HTTP/1.1\r\nHost: target\r\nHost: other\r\n\r\n${hidden}` },
  { name: "a chunk with a size in words", bytes: `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n${hidden}` },
  { name: "a chunk with a negative size", bytes: `${post}Transfer-Encoding: chunked\r\n\r\n-1\r\n${hidden}` },
  { name: "a chunk size with a bare line feed", bytes: `${post}Transfer-Encoding: chunked\r\n\r\n0\n\n${hidden}` },
  { name: "HTTP/1.0 with chunks", bytes: chunked("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0") },
];
