/**
 * Streams of Node's kind, whoever made them: they push, and are paused while the upload is full.
 */
import type { EventEmitter } from 'node:events'
import { Readable, type Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import { invalid } from '../checks.ts'
import { bytesOf, chunkOf } from './chunk.ts'
import { failureOf, type Outlet } from './outlet.ts'
import type { StreamLike } from './shapes.ts'

export const openStream = (stream: StreamLike, sink: Writable): Outlet => {
  const cancel = (error?: Error) => {
    try {
      stream.destroy?.(error)
    } catch {} // Its maker's fault, and no reason to keep the sink.
  }
  // Of all ways this one alone minds those who read the same stream beside the sink.
  const { failed, stop } =
    stream instanceof Readable && !stream.readableObjectMode
      ? pipe(stream, sink)
      : pour(stream, sink, cancel)
  const ended = Promise.race([failed, endOf(stream)]).then(error => {
    // Some say that they failed, or ended, and go on: to an upload that is being finalised already
    // that would be a write after its end, and cost it what came.
    stop()
    if (error) cancel()
    return error
  })
  return { ended, cancel }
}

/** What lets the bytes of a stream flow. */
interface Pour {
  /** Resolves to what is wrong with what comes; else never. */
  readonly failed: Promise<Error>
  /** Not a byte more. */
  readonly stop: () => void
}

const pipe = (stream: Readable, sink: Writable): Pour => {
  stream.pipe(sink, { end: false })
  return { failed: new Promise(() => {}), stop: () => void stream.unpipe(sink) }
}

/** Resolves once all of it came, or to the error that it failed with. */
export const endOf = (stream: StreamLike): Promise<Error | undefined> =>
  stream instanceof Readable
    ? finished(stream, { writable: false }).then(() => undefined, failureOf)
    : endOfOther(stream)

/** What streams of other makers have to say of their end, and how they say it. */
const endOfOther = async (stream: StreamLike): Promise<Error | undefined> => {
  const events = stream as unknown as EventEmitter
  let isCut = false
  let reason: unknown
  events.once('end', () => {
    isCut = stream.destroyed === true
  })
  events.once('error', error => {
    reason = error
  })
  try {
    const end = finished(stream as Readable, { writable: false })
    // minipass says by its promise alone that it was destroyed without an error.
    await Promise.race(stream.promise ? [end, stream.promise()] : [end])
    if (!isCut) return undefined
    // readable-stream 2 ends when it is destroyed, as if all of it had come, and tells why afterwards.
    await setImmediate()
    return failureOf(reason ?? new Error('The stream was destroyed before its end'))
  } catch (error) {
    return failureOf(error)
  }
}

/**
 * Writes what comes. What is no bytes ends the source, and is what `failed` resolves to: written to
 * the upload it would be an error that nobody catches. No stream stands in between, for destroying
 * that would leave alone a source that is silent.
 */
const pour = (stream: StreamLike, sink: Writable, cancel: (error: Error) => void): Pour => {
  // A stream of bytes that gives text was told to decode it, even where it does not say so.
  const mayBeText = !stream._readableState || stream._readableState.objectMode === true
  const [take, rule] = mayBeText
    ? [chunkOf, 'a stream of bytes or strings']
    : [bytesOf, 'a stream of bytes']
  let isHeld = false
  let isOver = false
  const events = stream as unknown as EventEmitter
  const failed = new Promise<Error>(resolve => {
    events.on('data', (value: unknown) => {
      if (isOver) return
      const chunk = take(value)
      if (chunk === undefined) {
        isOver = true
        const error = invalid('source', value, rule)
        resolve(error)
        cancel(error)
      } else if (!sink.write(chunk) && !isHeld) {
        isHeld = true
        stream.pause?.()
        sink.once('drain', () => {
          isHeld = false
          stream.resume?.()
        })
      }
    })
  })
  const stop = () => {
    isOver = true
  }
  return { failed, stop }
}
