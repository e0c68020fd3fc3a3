/**
 * A wire to a server that a test can disturb: a TCP proxy that knows nothing of HTTP.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

interface Teardown {
  teardown(undo: () => unknown): void
}

/** What happens to a connection. Offsets count the bytes that the client sent on it, from 0. */
export interface Disturbance {
  /** Cut as soon as the client has sent so many bytes; none after them gets through. */
  readonly cutAt?: number
  /** Cut when the server answers; nothing of the answer gets through. */
  readonly cutAnswer?: boolean
  /** The byte at this offset arrives as another. */
  readonly flipAt?: number
  /** Nothing gets through before this resolves. */
  readonly hold?: Promise<unknown>
}

export interface Wire {
  readonly url: string
  /** Connections so far. */
  readonly connections: () => number
  /** Waits until the server has closed every connection that was cut. */
  readonly settled: () => Promise<unknown>
}

/** @param disturb what happens to the nth connection, counted from 1. */
export const wireTo = async (
  t: Teardown,
  endpoint: string,
  disturb: (nth: number) => Disturbance | undefined = () => undefined,
): Promise<Wire> => {
  const { hostname, port } = new URL(endpoint)
  const sockets = new Set<Socket>()
  const endings: Promise<unknown>[] = []
  let count = 0

  const server = createServer(async client => {
    const { cutAt = Infinity, cutAnswer, flipAt = Infinity, hold } = disturb(++count) ?? {}
    const far = connect(Number(port), hostname)
    for (const socket of [client, far]) {
      sockets.add(socket)
      socket.on('error', () => {}) // Either side may leave first; 'close' follows.
    }
    client.on('close', () => far.end())
    far.on('close', () => client.destroy())

    const cut = () => {
      endings.push(once(far, 'close'))
      client.resetAndDestroy()
      // Not a reset: so the server tells, by closing too, when it has noticed.
      far.end()
      far.resume()
    }
    await hold
    far.on('data', data => {
      if (client.destroyed) return
      if (cutAnswer) cut()
      else client.write(data)
    })
    let sent = 0
    client.on('data', (data: Buffer) => {
      if (sent <= flipAt && flipAt < sent + data.length) {
        data[flipAt - sent] = ~Number(data[flipAt - sent])
      }
      sent += data.length
      const flows = far.write(sent < cutAt ? data : data.subarray(0, data.length - (sent - cutAt)))
      if (sent >= cutAt) return cut()
      if (flows) return
      client.pause()
      far.once('drain', () => client.resume())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('The wire has no port')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: `http://127.0.0.1:${address.port}`,
    connections: () => count,
    settled: () => Promise.all(endings),
  }
}
