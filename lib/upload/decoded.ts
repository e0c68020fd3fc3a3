/**
 * Streams that were told to decode text. What they give is no longer the bytes that came: what is no
 * UTF-8 was replaced, and of any other encoding the letters would be stored, not what they stand for.
 */
import type { Writable } from 'node:stream'
import { invalid } from '../checks.ts'

export const UNDECODED = 'a stream of bytes, and not one that was told to decode text (setEncoding)'

/** Was this stream, whoever made it, told to decode text? */
export const isDecoded = (stream: object): boolean => {
  const { readableEncoding, _readableState, encoding } = stream as {
    readonly readableEncoding?: unknown
    readonly _readableState?: { readonly encoding?: unknown } | null
    readonly encoding?: unknown
  }
  const known = readableEncoding ?? (_readableState ? _readableState.encoding : encoding)
  return typeof known === 'string'
}

/** Fails the sink as soon as such a stream is piped into it. */
export const refuseDecoded = (sink: Writable): void => {
  sink.on('pipe', source => {
    if (isDecoded(source)) sink.destroy(invalid('source', source, UNDECODED))
  })
}
