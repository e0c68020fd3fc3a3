/**
 * What a source is, told by what it can do and not by its class: there are several copies of Node's
 * streams in most programs, and a page, a worker and a test runner have classes of their own.
 */
import { bytesOf, type Chunk } from './chunk.ts'

/** A web `ReadableStream`, such as the body of a `fetch`. */
export interface WebStream {
  readonly locked: boolean
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: unknown }>
    cancel(reason?: unknown): Promise<unknown>
  }
}

/** A `Blob`, and so a `File`. */
export interface BlobLike {
  readonly size: number
  arrayBuffer(): Promise<ArrayBuffer>
  stream(): WebStream
}

/** A stream of Node's kind, whoever made it: what all of them have, and what most have. */
export interface StreamLike {
  on(...args: never[]): unknown
  pipe(...args: never[]): unknown
  pause?(): unknown
  resume?(): unknown
  destroy?(error?: Error): unknown
  /** Where it is minipass. */
  promise?(): Promise<void>
  readonly readable?: unknown
  readonly writable?: unknown
  readonly readableEnded?: unknown
  readonly destroyed?: unknown
  readonly _readableState?: { readonly objectMode?: unknown; readonly endEmitted?: unknown } | null
}

/** A source that is asked for one chunk after another. */
export type Pulled = WebStream | BlobLike | Exclude<Chunk, string> | Chunks

/** Whatever can be iterated, but for a string: that is a name as well as a text. */
export type Chunks = AsyncIterable<Chunk> | (Iterable<Chunk | PromiseLike<Chunk>> & object)

const can = (value: unknown, ...names: readonly PropertyKey[]): boolean =>
  typeof value === 'object' &&
  value !== null &&
  names.every(name => typeof Reflect.get(value, name) === 'function')

export const isStream = (source: unknown): source is StreamLike => can(source, 'on', 'pipe')

export const isWebStream = (source: unknown): source is WebStream => can(source, 'getReader')

export const isBlob = (source: unknown): source is BlobLike => can(source, 'stream', 'arrayBuffer')

export const isAsync = (chunks: Chunks): chunks is AsyncIterable<Chunk> =>
  can(chunks, Symbol.asyncIterator)

/** A promise is no source, though it may be iterated: what it stands for is. */
export const isChunks = (source: unknown): source is Chunks =>
  (can(source, Symbol.asyncIterator) || can(source, Symbol.iterator)) && !can(source, 'then')

export const isPulled = (source: unknown): source is Pulled =>
  isWebStream(source) || isBlob(source) || bytesOf(source) !== undefined || isChunks(source)
