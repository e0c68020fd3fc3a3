/**
 * Servers by hand, for what the sandbox is too well-behaved to do, and a client for them.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createRawServer, type Socket } from 'node:net'
import { FrameioClient, type FrameioClientOptions } from '../../lib/index.ts'
import { QUICK } from './sandboxes.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** A token that no error may show. */
export const SECRET = 'fio-u-SECRET0123456789'

/** A request as a server by hand saw it, with its whole body. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

type Reply = (res: ServerResponse, seen: Seen, count: number) => void

/** An HTTP server that reads each request whole, remembers it, and answers by `reply`. */
export const serve = async (t: Teardown, reply: Reply) => {
  const requests: Seen[] = []
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of req) chunks.push(chunk)
    } catch {
      return // The client left in mid-body: there is nobody to answer.
    }
    const { method = '', url = '', headers, rawHeaders } = req
    const seen = { method, url, headers, rawHeaders, body: Buffer.concat(chunks) }
    requests.push(seen)
    res.setHeader('etag', '"0"') // As S3 does, whose receipt it is.
    reply(res, seen, requests.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${portOf(server.address())}`, requests }
}

/** A TCP server that does with each connection what it is told. */
export const serveRaw = async (t: Teardown, talk: (socket: Socket, count: number) => void) => {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createRawServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {}) // The client may leave first.
    talk(socket, ++count)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { url: `http://127.0.0.1:${portOf(server.address())}`, connections: () => count }
}

/** A URL where nobody listens: connections are refused, until `open` is called. */
export const closedPort = async (t: Teardown, reply: Reply) => {
  const server = createServer((req, res) => {
    req.resume().on('end', () => {
      res.setHeader('etag', '"0"')
      const { method = '', url = '', headers, rawHeaders } = req
      reply(res, { method, url, headers, rawHeaders, body: Buffer.alloc(0) }, 1)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server.address())
  server.close()
  await once(server, 'close')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${port}`,
    open: async () => {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
  }
}

const portOf = (address: ReturnType<ReturnType<typeof createRawServer>['address']>) => {
  if (typeof address !== 'object' || address === null) throw new Error('The server has no port')
  return address.port
}

/** Answers with JSON. */
export const json = (res: ServerResponse, status: number, body: unknown, headers: object = {}) =>
  void res
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify(body))

/** A client with quick retries that is closed with the test. */
export const clientFor = (
  t: Teardown,
  url: string,
  options: Partial<FrameioClientOptions> = {},
) => {
  const client = new FrameioClient({ token: SECRET, baseUrl: url, retry: QUICK, ...options })
  t.teardown(() => client.close())
  return client
}

/** The error with which a promise rejects. */
export const failureOf = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('It should have failed')
}

/** The promise, or a failure after `ms`: a guard against hanging, no measurement. */
export const within = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const guard = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It hangs: nothing within ${ms} ms`)), ms)
  })
  return Promise.race([promise, guard]).finally(() => clearTimeout(timer))
}
