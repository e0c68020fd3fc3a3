/**
 * Two ends of one connection on this machine, such as a child takes for its stdout.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type OnReadOpts, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Bytes that the name of a socket may have, on the system that allows the fewest. */
const LONGEST_NAME = 103

/**
 * Is there a connection to be made here that a child takes for its stdout? Windows has none, and a
 * name that is too long would be cut, and stand in a folder that is open to others.
 */
export const canPair = (): boolean =>
  process.platform !== 'win32' && Buffer.byteLength(nameIn(`${prefix()}XXXXXX`)) <= LONGEST_NAME

const prefix = () => join(tmpdir(), 'frameio-')
const nameIn = (folder: string) => join(folder, 'stdout')

/** Two ends of one connection. Only its owner can open the folder it is made in. */
export const socketPair = async (onreadOf: (near: () => Socket) => OnReadOpts) => {
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
