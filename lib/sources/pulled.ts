/**
 * Sources that are asked for one chunk after another: web streams, blobs, and what can be iterated.
 *
 * The next chunk is asked for when the upload has copied the one before: nothing is read ahead, and
 * a source may give the same buffer again and again.
 */
import type { Writable } from 'node:stream'
import { invalid } from '../checks.ts'
import { bytesOf, chunkOf } from './chunk.ts'
import { failureOf, type Outlet } from './outlet.ts'
import { type Chunks, isAsync, isBlob, isWebStream, type Pulled, type WebStream } from './shapes.ts'

interface Puller {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>
  /** No more is asked for, perhaps amid a question. */
  cancel(): unknown
}

export const openPulled = (source: Pulled, sink: Writable): Outlet => {
  let puller: Puller | undefined
  let isOver = false
  const cancel = () => {
    if (isOver) return
    isOver = true
    // Not awaited: a source that does not answer does not answer this either.
    const cancelled = async () => puller?.cancel()
    cancelled().catch(() => {})
  }
  const pump = async (): Promise<Error | undefined> => {
    puller = pullerOf(source) // What fails here is a source that failed before its first byte.
    while (!isOver && !sink.destroyed) {
      const { done, value } = await puller.next()
      if (done) isOver = true
      if (isOver) break
      const chunk = chunkOf(value)
      if (chunk === undefined) {
        cancel()
        return invalid('source', value, 'a source of bytes or strings')
      }
      await written(chunk, sink)
    }
    return undefined
  }
  const ended = pump().catch(reason => {
    isOver = true
    return failureOf(reason)
  })
  return { ended, cancel }
}

/** Resolves when the upload has copied a chunk, or will not. */
const written = (chunk: Uint8Array | string, sink: Writable) =>
  new Promise<unknown>(resolve => void sink.write(chunk, resolve))

const pullerOf = (source: Pulled): Puller => {
  if (isWebStream(source)) return readerOf(source)
  if (isBlob(source)) return readerOf(source.stream())
  const bytes = bytesOf(source)
  return iteratorOf(bytes ? [bytes] : (source as Chunks))
}

const readerOf = (stream: WebStream): Puller => {
  const reader = stream.getReader()
  return { next: () => reader.read(), cancel: () => reader.cancel() }
}

const iteratorOf = (chunks: Chunks): Puller => {
  if (isAsync(chunks)) {
    const iterator = chunks[Symbol.asyncIterator]()
    return { next: async () => iterator.next(), cancel: () => iterator.return?.() }
  }
  const iterator = chunks[Symbol.iterator]()
  return {
    next: async () => {
      const { done, value } = iterator.next()
      return { done, value: await value } // As `for await` does.
    },
    cancel: () => iterator.return?.(),
  }
}
