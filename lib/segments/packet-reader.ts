/**
 * The packets of an MPEG-TS, one after the other, where they lie in the chunks that they come in. Where there
 * is no packet, what is up to the next sync byte is stray.
 */
import { SYNC } from './packet.ts'

export interface PacketSink {
  /** A packet begins at a place in a chunk. */
  packet(chunk: Buffer, from: number): void
  /** `at` is where they begin in the stream. */
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
    for (let at = 0; at < bytes.length; ) at += this.#take(bytes, at)
    this.#at += bytes.length
  }

  /** What came of a packet that is not whole. */
  end(): void {
    if (this.#filled === 0) return
    this.#sink.stray(Buffer.from(this.#partial.subarray(0, this.#filled)), this.#at - this.#filled)
  }

  /** How many bytes were taken from here on. */
  #take(bytes: Buffer, at: number): number {
    const rest = bytes.length - at
    if (this.#filled > 0 || rest <= this.#prefix) return this.#fill(bytes, at)
    if (bytes[at + this.#prefix] !== SYNC) return this.#skip(bytes, at)
    if (rest < this.#size) return this.#fill(bytes, at)
    this.#sink.packet(bytes, at)
    return this.#size
  }

  /** Goes on with a packet that comes in several chunks: first to its sync byte, then to its end. */
  #fill(bytes: Buffer, at: number): number {
    const to = this.#filled <= this.#prefix ? this.#prefix + 1 : this.#size
    const size = bytes.copy(this.#partial, this.#filled, at, at + to - this.#filled)
    this.#filled += size
    if (this.#filled > this.#prefix && this.#partial[this.#prefix] !== SYNC) {
      const begin = this.#at + at + size - this.#filled
      this.#sink.stray(Buffer.from(this.#partial.subarray(0, 1)), begin)
      this.#partial.copyWithin(0, 1, this.#filled)
      this.#filled--
    } else if (this.#filled === this.#size) {
      this.#filled = 0
      this.#sink.packet(Buffer.from(this.#partial), 0)
    }
    return size
  }

  /** Up to where a packet may begin. */
  #skip(bytes: Buffer, at: number): number {
    const sync = bytes.indexOf(SYNC, at + this.#prefix + 1)
    const to = (sync < 0 ? bytes.length : sync) - this.#prefix
    this.#sink.stray(bytes.subarray(at, to), this.#at + at)
    return to - at
  }
}
