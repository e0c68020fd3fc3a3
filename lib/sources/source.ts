/**
 * What can be uploaded, and how its bytes begin to flow.
 */
import { ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import type { FileSource } from '../follow/options.ts'
import { readDescriptor } from './descriptor.ts'
import type { FileFlow } from './file.ts'
import type { Outlet } from './outlet.ts'
import { type Producer, startProducer } from './producer.ts'
import { Program } from './program.ts'
import { openPulled } from './pulled.ts'
import { isPulled, isStream, type Pulled, type StreamLike } from './shapes.ts'
import { endOfStream, type SourceEnd, sourceFailed } from './source-end.ts'
import { endOf, openStream } from './streams.ts'

/**
 * A pipe, a socket or a file that is open for reading, such as 0, which is stdin. It belongs to the
 * call from then on, and is closed when it was read to its end, or when it or the upload failed;
 * but where it is refused with `ERR_INVALID_OPTION` it stays open.
 */
export interface Descriptor {
  readonly fd: number
}

/**
 * What `uploadFrom` takes. What it is, is told by what it can do and not by its class.
 *
 * - a program to be started, or a descriptor: both cost a third of the processor time of streams
 * - a file, finished or while another program writes it: its parts are read as they are sent
 * - a `ChildProcess` that runs, of which nobody has read the stdout
 * - a stream of Node's kind, whoever made it: `readable-stream`, `through2`, `archiver`, `streamx`,
 *   `minipass`
 * - a web `ReadableStream` that nobody else reads, such as the body of a `fetch`; a `Blob` or `File`
 * - bytes in pieces: whatever can be iterated, asynchronously or not. An array must hold bytes alone
 * - bytes that are all there: a `Buffer`, any other view, an `ArrayBuffer`
 */
export type Source = Producer | Descriptor | FileSource | ChildProcess | StreamLike | Pulled

/** A source whose bytes go to an upload. */
export interface Flow extends Outlet {
  /** Where the source is one. */
  readonly program: Program | undefined
  /** The program that was started here. */
  readonly started: ChildProcess | undefined
  /** How it ended, where that is more than an error. */
  readonly end?: () => Promise<SourceEnd>
}

/**
 * Lets the bytes of a source flow to a sink, which is not ended.
 *
 * @param openFile how a file is uploaded, of which no byte is written to a sink
 */
export const openSource = async (
  source: Source,
  sink: Writable,
  openFile: () => FileFlow,
): Promise<Flow> => {
  const plain = { program: undefined, started: undefined }
  if (source instanceof ChildProcess) {
    const program = new Program(source)
    return { ...plain, ...openStream(source.stdout as Readable, sink), program }
  }
  if (isStream(source)) return { ...plain, ...openStream(source, sink) }
  if (isPulled(source)) return { ...plain, ...openPulled(source, sink) }
  if ('file' in source) return { ...plain, ...openFile() }
  if ('fd' in source) return { ...plain, ...outletOf(openDescriptor(source, sink)) }
  let program: Program | undefined
  const { child, stdout } = await startProducer(source, sink, started => {
    program = new Program(started)
  })
  return { ...outletOf(stdout), program, started: child }
}

/** Of a stream that writes to the upload by itself. */
const outletOf = (stream: Readable): Outlet => ({
  ended: endOf(stream),
  cancel: () => void stream.destroy(),
})

const openDescriptor = ({ fd }: Descriptor, sink: Writable): Readable => {
  try {
    return readDescriptor(fd, sink)
  } catch (error) {
    throw sourceFailed(endOfStream(error as Error)) // A socket that is no stream, such as UDP's.
  }
}

/** Ends a source; a program that was started here gets a SIGTERM. */
export const stop = ({ cancel, started }: Flow): void => {
  cancel()
  started?.kill()
}
