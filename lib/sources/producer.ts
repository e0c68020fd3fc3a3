/**
 * A program whose stdout is uploaded, read without garbage.
 *
 * A socket with `onread` reads into the same few buffers again and again (see `descriptor.ts`), but
 * the one that `spawn` makes for a child's stdout cannot be told to. So the child is handed one end
 * of a connection that was made here (see `connection.ts`).
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { Readable, type Writable } from 'node:stream'
import { RealtimeUploadError } from '../errors.ts'
import { type Connection, makeConnection } from './connection.ts'
import { endOfStream, sourceFailed } from './source-end.ts'
import { reasonOf } from './uploaded.ts'

/** A program to be started, whose stdout is the recording. */
export interface Producer {
  /** Its name on the PATH, or its file. */
  readonly command: string
  readonly args?: readonly string[] | undefined
  /**
   * As `child_process.spawn` takes them, but for `stdio`. Where `env` is left out the program gets
   * the environment of this process without `FRAMEIO_TOKEN`, `FRAMEIO_CLIENT_ID` and
   * `FRAMEIO_CLIENT_SECRET`; one that is given is passed on whole.
   */
  readonly options?: Omit<SpawnOptions, 'stdio'> | undefined
  /** What its stdin is: nothing, or that of this process. Default `'ignore'`. */
  readonly stdin?: 'ignore' | 'inherit' | undefined
}

/** A producer that runs. */
export interface Running {
  readonly child: ChildProcess
  /** Its stdout. Nothing can be read from it: all goes to the sink. */
  readonly stdout: Readable
}

type OnSpawn = (child: ChildProcess) => void

/**
 * Starts a producer, and writes its stdout to `sink`, which is not ended.
 *
 * @param onSpawn told of it at once: spawn reports a missing program in the next tick
 * @throws what the sink was destroyed with, before anything is started, or while the way for its
 *   stdout was made
 */
export const startProducer = async (
  producer: Producer,
  sink: Writable,
  onSpawn: OnSpawn,
): Promise<Running> => {
  if (sink.destroyed) throw reasonOf(sink)
  const connection = await makeConnection(sink)
  if (sink.destroyed) {
    if (connection) drop(connection)
    throw reasonOf(sink)
  }
  return connection
    ? throughConnection(producer, connection, onSpawn)
    : throughPipe(producer, sink, onSpawn)
}

const throughConnection = (
  producer: Producer,
  connection: Connection,
  onSpawn: OnSpawn,
): Running => {
  const { stdout, stderr, far, release } = connection
  let child: ChildProcess
  try {
    child = spawnInto(producer, far)
  } catch (error) {
    drop(connection)
    throw error
  }
  release() // The child has its own hold of them.
  // Where whoever is told of the child looks for it.
  if (stderr) Object.assign(child, { stderr })
  onSpawn(child)
  return { child, stdout }
}

const drop = ({ stdout, stderr, release }: Connection): void => {
  stdout.destroy()
  stderr?.destroy()
  release()
}

/** At a price: each read takes memory of its own. */
const throughPipe = (producer: Producer, sink: Writable, onSpawn: OnSpawn): Running => {
  const child = spawnInto(producer, ['pipe', 'pipe'])
  onSpawn(child)
  // There is none where not even a pipe could be had; the child tells why.
  const stdout = child.stdout ?? Readable.from([])
  stdout.pipe(sink, { end: false })
  return { child, stdout }
}

const spawnInto = (
  { command, args = [], options = {}, stdin = 'ignore' }: Producer,
  outputs: Connection['far'] | readonly ['pipe', 'pipe'],
): ChildProcess => {
  const env = options.env ?? withoutToken(process.env)
  try {
    return spawn(command, args, { ...options, env, stdio: [stdin, ...outputs] })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // Node's own rules, as for names of signals; else the system's, as for too many arguments.
    if (!code?.startsWith('ERR_')) throw sourceFailed(endOfStream(error as Error))
    const text = `source.options must be what spawn takes; it says: ${message}`
    throw new RealtimeUploadError('ERR_INVALID_OPTION', text, {
      option: 'source.options',
      cause: error,
    })
  }
}

/** Windows does not tell the cases of names apart. */
const withoutToken = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !OURS.has(name.toUpperCase())))

/** What the command takes from the environment, and nobody else is to see. */
const OURS: ReadonlySet<string> = new Set([
  'FRAMEIO_TOKEN',
  'FRAMEIO_CLIENT_ID',
  'FRAMEIO_CLIENT_SECRET',
])
