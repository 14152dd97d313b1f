/**
 * What a statement is on the wire, written into one buffer, so that it leaves in one write however many messages it is
 * (PostgreSQL documentation, 55.7).
 */
export class WireWriter {
  #buffer: Buffer = Buffer.allocUnsafe(sizeMin);
  #at = 0;

  parse(name: string, text: string): void {
    const start = this.#begin(0x50);
    this.#name(name);
    this.#name(text);
    this.#int16(0);
    this.#end(start);
  }

  bind(name: string, values: readonly (string | null)[]): void {
    const start = this.#begin(0x42);
    this.#name("");
    this.#name(name);
    // No formats, for values and results: all of it is text.
    this.#int16(0);
    this.#int16(values.length);
    for (const value of values) {
      if (value === null) this.#int32(-1);
      else this.#value(value);
    }
    this.#int16(0);
    this.#end(start);
  }

  /** What the portal will answer with. */
  describe(): void {
    const start = this.#begin(0x44);
    this.#room(1);
    this.#buffer[this.#at++] = 0x50;
    this.#name("");
    this.#end(start);
  }

  execute(): void {
    const start = this.#begin(0x45);
    this.#name("");
    this.#int32(0);
    this.#end(start);
  }

  /** Forgets a statement. One that is not there is no error. */
  close(name: string): void {
    const start = this.#begin(0x43);
    this.#room(1);
    this.#buffer[this.#at++] = 0x53;
    this.#name(name);
    this.#end(start);
  }

  sync(): void {
    this.#end(this.#begin(0x53));
  }

  /** Everything since the last time. The buffer is the caller's. */
  take(): Buffer {
    const written = this.#buffer.subarray(0, this.#at);
    this.#buffer = this.#buffer.subarray(this.#at);
    this.#at = 0;
    return written;
  }

  #begin(type: number): number {
    this.#room(5);
    this.#buffer[this.#at++] = type;
    const start = this.#at;
    this.#at += 4;
    return start;
  }

  #end(start: number): void {
    this.#buffer.writeInt32BE(this.#at - start, start);
  }

  #name(text: string): void {
    this.#room(sizeOf(text) + 1);
    this.#at += this.#buffer.write(text, this.#at);
    this.#buffer[this.#at++] = 0;
  }

  #value(text: string): void {
    this.#room(sizeOf(text) + 4);
    const size = this.#buffer.write(text, this.#at + 4);
    this.#buffer.writeInt32BE(size, this.#at);
    this.#at += size + 4;
  }

  #int16(value: number): void {
    this.#room(2);
    this.#buffer.writeUInt16BE(value, this.#at);
    this.#at += 2;
  }

  #int32(value: number): void {
    this.#room(4);
    this.#buffer.writeInt32BE(value, this.#at);
    this.#at += 4;
  }

  #room(size: number): void {
    if (this.#buffer.length - this.#at >= size) return;
    const larger = Buffer.allocUnsafe(this.#at + size + sizeMin);
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

const sizeMin = 16_384;

/** At least what the text takes as UTF-8: counting is worth it only where much would be set aside in vain. */
function sizeOf(text: string): number {
  return text.length < 1_024 ? text.length * 3 : Buffer.byteLength(text);
}
