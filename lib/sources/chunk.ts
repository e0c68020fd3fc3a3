/**
 * What counts as bytes, however they are held.
 */
import { types } from 'node:util'

/** Bytes, however they are held, or text, which becomes UTF-8. */
export type Chunk = ArrayBufferView | ArrayBufferLike | string

/** The same bytes, not copied, as a write takes them; undefined of what is none. */
export const bytesOf = (value: unknown): Uint8Array | undefined => {
  if (value instanceof Uint8Array) return value
  // Neither asks for a class: a page, a worker and a test runner each have their own.
  if (ArrayBuffer.isView(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
  return types.isAnyArrayBuffer(value) ? Buffer.from(value) : undefined
}

/** As `bytesOf`; text passes. */
export const chunkOf = (value: unknown): Uint8Array | string | undefined =>
  typeof value === 'string' ? value : bytesOf(value)
