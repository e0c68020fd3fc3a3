/**
 * What a program's stdout and stderr are, made before the program is started.
 *
 *   ours                       the program's, which has its own hold of them once it runs
 *   stdout  fixed buffers ◄──  far[0]
 *   stderr  a stream      ◄──  far[1]
 *
 * 1. Named pipes, on Linux: there a program that opens `/dev/stdout` or `/dev/stderr` opens what
 *    stands behind it anew, and a socket, which is what `spawn` makes, cannot be opened (ENXIO).
 *    Elsewhere such a name is a copy of the descriptor, and any kind will do.
 * 2. A pair of sockets for stdout, where there is no `mkfifo`, as in an image without a shell.
 *
 * Both are made in a folder that only its owner can open, and that is gone before the program runs.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { tell } from '../upload/diagnostics.ts'
import { readDescriptor, readInto } from './descriptor.ts'

export interface Connection {
  /** Nothing can be read from it: all goes to the sink. */
  readonly stdout: Readable
  /** Undefined where `spawn` makes it. */
  readonly stderr: Readable | undefined
  /** As `spawn` takes them. */
  readonly far: readonly [stdout: Socket | number, stderr: number | 'pipe']
  /** Lets go of the program's ends. Ours end once nobody holds those any more. */
  readonly release: () => void
}

/** Makes a connection in an empty folder, whose stdout goes to `sink`, which is not ended. */
type Way = (folder: string, sink: Writable) => Promise<Connection>

/**
 * Undefined where there can be none, as in a full or a read-only folder. Why one way or all of them
 * failed is told on the channel `frameio-realtime-upload:pair`.
 */
export const makeConnection = async (sink: Writable): Promise<Connection | undefined> => {
  try {
    const folder = await mkdtemp(join(tmpdir(), 'frameio-'))
    try {
      return await connectIn(folder, sink)
    } finally {
      // A folder that stays is no reason to do without the connection, nor to lose hold of it.
      await rm(folder, { recursive: true, force: true }).catch(tellWhy)
    }
  } catch (error) {
    tellWhy(error)
    return undefined
  }
}

const connectIn: Way = async (folder, sink) => {
  if (process.platform !== 'linux') return socketPair(folder, sink)
  return namedPipes(folder, sink).catch(error => {
    tellWhy(error)
    return socketPair(folder, sink)
  })
}

const tellWhy = (error: unknown) =>
  tell('frameio-realtime-upload:pair', () => ({ error: error as Error }))

/** How long `mkfifo` may take, in ms. */
const PATIENCE = 5_000

const namedPipes: Way = async (folder, sink) => {
  const paths = [join(folder, 'stdout'), join(folder, 'stderr')] as const
  // Node cannot make one. No child's environment holds the token, and this one needs nothing at all.
  const env = { PATH: process.env.PATH }
  await promisify(execFile)('mkfifo', ['-m', '600', ...paths], { env, timeout: PATIENCE })
  const opened: number[] = []
  const open = (path: string, flags: number) => {
    const fd = openSync(path, flags)
    opened.push(fd)
    return fd
  }
  const openBoth = (path: string) => {
    // In this order: the first does not wait for a writer, nor then the second for a reader.
    const near = open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return [near, open(path, constants.O_WRONLY)] as const
  }
  try {
    const [stdout, farOut] = openBoth(paths[0])
    const [stderr, farErr] = openBoth(paths[1])
    return {
      stdout: readDescriptor(stdout, sink),
      stderr: new Socket({ fd: stderr, readable: true, writable: false }),
      far: [farOut, farErr],
      release: () => [farOut, farErr].forEach(closeSync),
    }
  } catch (error) {
    opened.forEach(closeSync)
    throw error
  }
}

/** Bytes that the name of a socket may have, on the system that allows the fewest. */
const LONGEST_NAME = 103

const socketPair: Way = async (folder, sink) => {
  if (process.platform === 'win32')
    throw new Error('Windows has no sockets that a child could take')
  const path = join(folder, 'stdout')
  // It would be cut, and stand in a folder that is open to others.
  if (Buffer.byteLength(path) > LONGEST_NAME)
    throw new Error(`A socket's name may have ${LONGEST_NAME} bytes, and ${path} has more`)
  const server = createServer({ pauseOnConnect: true })
  let near: Socket | undefined
  try {
    server.listen(path)
    await once(server, 'listening')
    const refused = new AbortController()
    const accepted = once(server, 'connection', { signal: refused.signal })
    const socket = connect({ path, onread: readInto(sink, () => socket.resume()) })
    near = socket
    // Accepted and cut at once, where the process has no descriptor left.
    near.once('close', () => refused.abort())
    const [[far]] = await Promise.all([accepted as Promise<[Socket]>, once(near, 'connect')])
    return { stdout: near, stderr: undefined, far: [far, 'pipe'], release: () => far.destroy() }
  } catch (error) {
    near?.destroy()
    throw error
  } finally {
    server.close()
  }
}
