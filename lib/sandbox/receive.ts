/**
 * Receives the body of a request. This is the hot path of the sandbox: a handler on 'data' that
 * counts, and no promise or copy for each chunk.
 */
import type { Hash } from 'node:crypto'
import { PassThrough, type Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Exchange } from './log.ts'

export interface Reception {
  /** Where the bytes go. Left out: nowhere, they are only counted. */
  readonly sink?: Writable | undefined
  readonly hash?: Hash | undefined
  /** Stop once so many bytes of the body have arrived in all. */
  readonly enough?: number | undefined
  /** Stop when nothing arrived for so long, in ms. */
  readonly idle: number
}

/**
 * How it ended: the whole body is here; enough of it; it stood still; the client left.
 *
 * @throws what the sink throws.
 */
export const receive = (
  { req, entry, log }: Exchange,
  { sink, hash, enough = Number.POSITIVE_INFINITY, idle }: Reception,
) =>
  new Promise<'complete' | 'enough' | 'idle' | 'gone'>((resolve, reject) => {
    const settle = (outcome: 'complete' | 'enough' | 'idle' | 'gone') => {
      stop()
      resolve(outcome)
    }
    const stop = () => {
      clearTimeout(timer)
      req.off('data', onData).off('end', onEnd).off('close', onClose)
      sink?.off('drain', onDrain)
      req.pause()
    }
    const onData = (chunk: Buffer) => {
      timer.refresh()
      log.received(entry, chunk.length)
      hash?.update(chunk)
      if (sink && !sink.write(chunk)) req.pause()
      if (entry.bytes >= enough) settle('enough')
    }
    const onDrain = () => req.resume()
    const onEnd = () => settle('complete')
    const onClose = () => settle('gone')
    // while we hold the body back, for a slow disk, it is not the client that stands still
    const onIdle = () => (req.isPaused() ? timer.refresh() : settle('idle'))
    const timer = setTimeout(onIdle, idle)

    req.on('data', onData).once('end', onEnd).once('close', onClose)
    sink?.on('drain', onDrain).once('error', error => {
      stop()
      reject(error)
    })
    req.resume()
  })

/** The whole body as text; undefined if it is larger than `limit` bytes. */
export const readBody = async (exchange: Exchange, limit: number): Promise<string | undefined> => {
  const sink = new PassThrough({ highWaterMark: limit * 2 })
  const outcome = await receive(exchange, { sink, enough: limit + 1, idle: MAX_IDLE })
  return outcome === 'complete' ? text(sink.end()) : undefined
}

/** As good as for ever, to setTimeout. */
const MAX_IDLE = 2 ** 31 - 1
