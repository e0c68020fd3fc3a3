/**
 * A program whose stdout is uploaded, read without garbage.
 *
 * Node gives each read of a pipe memory of its own, and to collect that takes more time than to send
 * the bytes. A socket with `onread` reads into the same few buffers again and again, but the one that
 * `spawn` makes for a child's stdout cannot be told to. So the child is handed one end of a
 * connection that was made here, of the kind that `spawn` itself would have made.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, fstatSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import {
  connect,
  createServer,
  type OnReadOpts,
  Socket,
  type SocketConstructorOpts,
} from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, type Writable } from 'node:stream'

/** A program to be started, whose stdout is the recording. */
export interface Producer {
  /** Its name on the PATH, or its file. */
  readonly command: string
  readonly args?: readonly string[] | undefined
  /** As `child_process.spawn` takes them, but for `stdio`. */
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

/** Bytes of each buffer: about what the kernel holds for a socket at most. */
const BUFFER_SIZE = 256 * 2 ** 10
const BUFFERS = 4

/**
 * Starts a producer, and writes its stdout to `sink`, which is not ended.
 *
 * @param onSpawn told of it at once
 */
export const startProducer = async (
  { command, args = [], options = {}, stdin = 'ignore' }: Producer,
  sink: Writable,
  onSpawn: (child: ChildProcess) => void,
): Promise<Running> => {
  // Where there is no room for it, in a full or a read-only folder, a pipe does, if at a price.
  const pair = canPair() && (await socketPair(near => readInto(sink, near)).catch(() => false))
  if (typeof pair === 'boolean') {
    const child = spawn(command, args, { ...options, stdio: [stdin, 'pipe', 'pipe'] })
    onSpawn(child)
    // There is none where not even a pipe could be had; the child tells why.
    const stdout = child.stdout ?? Readable.from([])
    stdout.pipe(sink, { end: false })
    return { child, stdout }
  }
  const { near, far } = pair
  try {
    const child = spawn(command, args, { ...options, stdio: [stdin, far, 'pipe'] })
    onSpawn(child)
    return { child, stdout: near }
  } catch (error) {
    near.destroy()
    throw error
  } finally {
    far.destroy() // The child has its own hold of it.
  }
}

/** Writes what an open file or pipe holds to `sink`, which is not ended. */
export const readDescriptor = (fd: number, sink: Writable): Readable => {
  const stat = fstatSync(fd)
  if (process.platform === 'win32' || !(stat.isFIFO() || stat.isSocket())) {
    const file = createReadStream('', { fd })
    file.pipe(sink, { end: false })
    return file
  }
  // `onread` is an option of every socket, but the types know it for those that connect alone.
  const options = { fd, readable: true, writable: false, onread: readInto(sink, () => socket) }
  const socket: Socket = new Socket(options as SocketConstructorOpts)
  return socket
}

/**
 * For a socket's `onread`: writes to `sink` what is read, and reads on into the same buffers.
 * `sink` must have copied what it was given when it calls back.
 */
const readInto = (sink: Writable, socket: () => Socket): OnReadOpts => {
  const free: Buffer[] = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafeSlow(BUFFER_SIZE))
  let waiting = false
  return {
    buffer: () => free.pop() as Buffer,
    callback: (size, buffer) => {
      sink.write(buffer.subarray(0, size), () => {
        free.push(buffer as Buffer)
        if (!waiting) return
        waiting = false
        socket().resume()
      })
      // One must be left: the socket asks for its next buffer as soon as this returns.
      waiting = free.length <= 1
      return !waiting
    },
  }
}

/** Bytes that the name of a socket may have, on the system that allows the fewest. */
const LONGEST_NAME = 103

/**
 * Is there a connection to be made here that a child takes for its stdout? Windows has none, and a
 * name that is too long would be cut, and stand in a folder that is open to others.
 */
const canPair = (): boolean =>
  process.platform !== 'win32' && Buffer.byteLength(nameIn(`${prefix()}XXXXXX`)) <= LONGEST_NAME

const prefix = () => join(tmpdir(), 'frameio-')
const nameIn = (folder: string) => join(folder, 'stdout')

/** Two ends of one connection. Only its owner can open the folder it is made in. */
const socketPair = async (onreadOf: (near: () => Socket) => OnReadOpts) => {
  const folder = await mkdtemp(prefix())
  const server = createServer({ pauseOnConnect: true })
  let near: Socket | undefined
  try {
    const path = nameIn(folder)
    server.listen(path)
    await once(server, 'listening')
    const refused = new AbortController()
    const accepted = once(server, 'connection', { signal: refused.signal })
    near = connect({ path, onread: onreadOf(() => near as Socket) })
    // Accepted and cut at once, where the process has no descriptor left.
    near.once('close', () => refused.abort())
    const [[far]] = await Promise.all([accepted as Promise<[Socket]>, once(near, 'connect')])
    return { near, far }
  } catch (error) {
    near?.destroy()
    throw error
  } finally {
    server.close()
    await rm(folder, { recursive: true, force: true })
  }
}
