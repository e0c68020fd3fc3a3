/**
 * The packets of an MPEG-TS, one after the other, as views of the chunks that they come in. Where there
 * is no packet, what is up to the next sync byte is stray.
 */
import { SYNC } from './packet.ts'

export interface PacketSink {
  packet(raw: Buffer, at: number): void
  stray(bytes: Buffer, at: number): void
}

export class PacketReader {
  readonly #size: 188 | 192
  readonly #sink: PacketSink
  /** Bytes of a packet before its sync byte: M2TS has the time of its arrival there. */
  readonly #prefix: number
  /** A packet that comes in several chunks. */
  readonly #partial: Buffer
  #filled = 0
  /** Where the next chunk begins in the stream. */
  #at = 0

  constructor(size: 188 | 192, sink: PacketSink) {
    this.#size = size
    this.#sink = sink
    this.#prefix = size - 188
    this.#partial = Buffer.alloc(size)
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    let at = this.#filled > 0 ? this.#fill(bytes) : 0
    while (at < bytes.length) {
      const rest = bytes.length - at
      const hasSync = rest <= this.#prefix || bytes[at + this.#prefix] === SYNC
      if (!hasSync) at += this.#skip(bytes, at)
      else if (rest < this.#size) at += this.#fill(bytes.subarray(at))
      else {
        this.#sink.packet(bytes.subarray(at, at + this.#size), this.#at + at)
        at += this.#size
      }
    }
    this.#at += bytes.length
  }

  /** What came of a packet that is not whole. */
  end(): void {
    if (this.#filled === 0) return
    this.#sink.stray(Buffer.from(this.#partial.subarray(0, this.#filled)), this.#at - this.#filled)
  }

  /** Goes on with a packet that comes in several chunks; how many bytes were taken. */
  #fill(bytes: Buffer): number {
    const size = bytes.copy(this.#partial, this.#filled)
    this.#filled += size
    if (this.#filled < this.#size) return size
    const raw = Buffer.from(this.#partial)
    const at = this.#at + size - this.#size
    this.#filled = 0
    if (raw[this.#prefix] === SYNC) this.#sink.packet(raw, at)
    else this.#sink.stray(raw, at)
    return size
  }

  /** Up to where a packet may begin. */
  #skip(bytes: Buffer, at: number): number {
    const sync = bytes.indexOf(SYNC, at + this.#prefix + 1)
    const to = sync < 0 ? bytes.length : sync - this.#prefix
    this.#sink.stray(bytes.subarray(at, to), this.#at + at)
    return to - at
  }
}
