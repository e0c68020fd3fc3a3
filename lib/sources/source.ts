/**
 * What can be uploaded, and how its bytes begin to flow.
 */
import { ChildProcess } from 'node:child_process'
import { Readable } from 'node:stream'
import { invalid } from '../checks.ts'
import type { RealtimeUpload } from '../upload/realtime-upload.ts'
import { readDescriptor } from './descriptor.ts'
import { type Producer, startProducer } from './producer.ts'
import { Program } from './program.ts'
import { endOfStream, sourceFailed } from './source-end.ts'

/**
 * A pipe, a socket or a file that is open for reading, such as 0, which is stdin. It belongs to the
 * call from then on, and is closed when it was read to its end, or when it or the upload failed;
 * but where it is refused with `ERR_INVALID_OPTION` it stays open.
 */
export interface Descriptor {
  readonly fd: number
}

export type Source = Producer | Descriptor | ChildProcess | Readable

/** A source whose bytes go to an upload. */
export interface Flow {
  /** Ends with the source, and with its error. */
  readonly stream: Readable
  /** Where the source is one. */
  readonly program: Program | undefined
  /** The program that was started here. */
  readonly started: ChildProcess | undefined
}

/** Lets the bytes of a source flow to the upload, which is not ended. */
export const openSource = async (source: Source, upload: RealtimeUpload): Promise<Flow> => {
  if (source instanceof Readable) {
    if (source.readableObjectMode) pipeBytes(source, upload)
    else source.pipe(upload, { end: false })
    return { stream: source, program: undefined, started: undefined }
  }
  if (source instanceof ChildProcess) {
    const stdout = source.stdout as Readable
    stdout.pipe(upload, { end: false })
    return { stream: stdout, program: new Program(source), started: undefined }
  }
  if ('fd' in source) {
    return { stream: openDescriptor(source, upload), program: undefined, started: undefined }
  }
  let program: Program | undefined
  const { child, stdout } = await startProducer(source, upload, started => {
    program = new Program(started)
  })
  return { stream: stdout, program, started: child }
}

const openDescriptor = ({ fd }: Descriptor, upload: RealtimeUpload): Readable => {
  try {
    return readDescriptor(fd, upload)
  } catch (error) {
    throw sourceFailed(endOfStream(error as Error)) // A socket that is no stream, such as UDP's.
  }
}

/** Ends a source; a program that was started here gets a SIGTERM. */
export const stop = ({ stream, started }: Flow): void => {
  stream.destroy()
  started?.kill()
}

/**
 * What is no bytes ends the source: written to the upload it would be an error that nobody catches.
 * No stream stands in between, for destroying that would leave alone a source that is silent.
 */
const pipeBytes = (source: Readable, upload: RealtimeUpload): void => {
  source.on('data', (chunk: unknown) => {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
      source.destroy(invalid('source', chunk, 'a stream of bytes or strings'))
    } else if (!upload.write(chunk)) {
      source.pause()
      upload.once('drain', () => source.resume())
    }
  })
}
