/**
 * Two ends of one connection on this machine, of the kind that a child takes for its stdout.
 *
 *   near   ours: reads into fixed buffers, which go to the sink
 *   far    the child's, which has its own hold of it once it is spawned
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { tell } from '../upload/diagnostics.ts'
import { readInto } from './descriptor.ts'

export interface Pair {
  readonly near: Socket
  readonly far: Socket
}

/** Bytes that the name of a socket may have, on the system that allows the fewest. */
const LONGEST_NAME = 103

/**
 * Makes a pair whose near end writes to `sink`, which is not ended. Undefined where there can be
 * none, as in a full or a read-only folder; why is told on the channel
 * `frameio-realtime-upload:pair`.
 */
export const makePair = async (sink: Writable): Promise<Pair | undefined> => {
  try {
    const prefix = join(tmpdir(), 'frameio-')
    checkPlace(nameIn(`${prefix}XXXXXX`))
    // Only its owner can open the folder that the connection is made in.
    const folder = await mkdtemp(prefix)
    try {
      return await pairAt(nameIn(folder), sink)
    } finally {
      // A folder that stays is no reason to do without the pair, nor to lose hold of it.
      await rm(folder, { recursive: true, force: true }).catch(tellWhy)
    }
  } catch (error) {
    tellWhy(error)
    return undefined
  }
}

const nameIn = (folder: string) => join(folder, 'stdout')

const tellWhy = (error: unknown) =>
  tell('frameio-realtime-upload:pair', () => ({ error: error as Error }))

const checkPlace = (name: string) => {
  if (process.platform === 'win32')
    throw new Error('Windows has no sockets that a child could take')
  // It would be cut, and stand in a folder that is open to others.
  if (Buffer.byteLength(name) > LONGEST_NAME)
    throw new Error(`A socket's name may have ${LONGEST_NAME} bytes, and ${name} has more`)
}

const pairAt = async (path: string, sink: Writable): Promise<Pair> => {
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
    return { near, far }
  } catch (error) {
    near?.destroy()
    throw error
  } finally {
    server.close()
  }
}
