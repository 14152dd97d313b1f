/**
 * Reads the answers of one connection as they come, byte by byte as much as it must: a status, and where the answer ends
 * (`content-length`, chunks, or the end of the connection). What it cannot read is thrown.
 */
export class AnswerReader {
  /** Of the answer that is being read. */
  status = 0;
  /** The server says that it closes the connection after this answer. */
  isLast = false;
  #head = "";
  #phase: "head" | "body" | "chunk" | "trailer" | "close" = "head";
  /** Of the body, or of the chunk with its line end, still to come. */
  #leftBytes = 0;
  #line = "";

  /** True when `chunk` ends an answer. Requests are sent one at a time, so nothing follows it. */
  read(chunk: Buffer): boolean {
    let at = 0;
    if (this.#phase === "head") {
      at = this.#readHead(chunk);
      if (at === -1) return false;
    }
    if (this.#phase === "close") return false;
    if (this.#phase === "body") {
      this.#leftBytes -= chunk.length - at;
      return this.#leftBytes <= 0 && this.#begin();
    }
    return this.#readChunks(chunk, at) && this.#begin();
  }

  /** The connection ended. True when that is how this answer ends. */
  end(): boolean {
    return this.#phase === "close" && this.#begin();
  }

  #begin(): true {
    this.#phase = "head";
    this.#head = "";
    return true;
  }

  /** Where the body begins in `chunk`; -1 while the head is not whole. */
  #readHead(chunk: Buffer): number {
    const before = this.#head.length;
    this.#head += chunk.toString("latin1");
    const end = this.#head.indexOf("\r\n\r\n");
    if (end === -1) return -1;
    const head = this.#head.slice(0, end + 2);
    this.status = Number(head.slice(9, 12));
    if (!head.startsWith("HTTP/1.") || !(this.status >= 200)) throw new Error(`no answer: ${head.slice(0, 80)}`);
    this.isLast = /\r\nconnection: *close\r\n/i.test(head);
    this.#toBody(head);
    return end + 4 - before;
  }

  #toBody(head: string): void {
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (this.status === 204 || this.status === 304 || length !== undefined) {
      this.#phase = "body";
      this.#leftBytes = this.status === 204 || this.status === 304 ? 0 : Number(length);
    } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#phase = "chunk";
      this.#leftBytes = 0;
      this.#line = "";
    } else this.#phase = "close";
  }

  #readChunks(chunk: Buffer, from: number): boolean {
    let at = from;
    while (at < chunk.length) {
      const skipped = Math.min(this.#leftBytes, chunk.length - at);
      this.#leftBytes -= skipped;
      at += skipped;
      const end = chunk.indexOf(10, at);
      this.#line += chunk.toString("latin1", at, end === -1 ? chunk.length : end);
      if (end === -1) return false;
      at = end + 1;
      const line = this.#line.trimEnd();
      this.#line = "";
      if (this.#phase === "trailer") {
        if (line === "") return true;
      } else if (/^0+ *(;|$)/.test(line)) this.#phase = "trailer";
      else this.#leftBytes = Number.parseInt(line, 16) + 2;
    }
    return false;
  }
}
