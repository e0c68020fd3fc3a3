/**
 * The HTTP below both sides: a server that remembers, a body that is received with a bound, and
 * answers that are whole, half, or never come.
 */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Entry, Exchange, RequestLog, Subject } from './log.ts'
import { receive } from './receive.ts'

export interface Answer {
  readonly status: number
  readonly headers?: OutgoingHttpHeaders | undefined
  readonly body?: string | undefined
  /** A file to send as the body, instead of `body`. */
  readonly file?: string
}

/** One side of the sandbox. */
export interface Side {
  readonly side: Entry['side']
  /** What the request is about, as far as its method and path tell. */
  subject(req: IncomingMessage): Subject
  handle(exchange: Exchange): Promise<void>
  /** The answer to a request that failed for a reason of our own, such as a full disk. */
  failure(error: unknown): Answer
}

/** Serves on a free port of 127.0.0.1. */
export const serve = async ({ side, subject, handle, failure }: Side, log: RequestLog) => {
  const sockets = new Set<Socket>()
  const work = new Set<Promise<void>>()

  const server = createServer((req, res) => {
    const exchange = { req, res, log, entry: log.open(side, req, subject(req)) }
    res.once('close', () => log.close(exchange.entry))
    const job = handle(exchange)
      // an answer half sent cannot be taken back; pipeline() has cut it, for the client to see
      .catch(error => (res.headersSent ? undefined : answer(exchange, failure(error))))
      .finally(() => work.delete(job))
    work.add(job)
  })
  // a part may take hours on a slow link; and a connection that the server closes when idle looks
  // like a fault to a client that has just begun to use it again
  Object.assign(server, { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 })
  server.on('connection', socket => {
    sockets.add(socket)
    log.stats.openSockets += 1
    socket.once('close', () => {
      sockets.delete(socket)
      log.stats.openSockets -= 1
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
      await Promise.all(work)
    },
  }
}

/** Answers in full. */
export const answer = async (exchange: Exchange, { status, headers, body = '', file }: Answer) => {
  const { req, res, entry, log } = exchange
  if (res.destroyed) return
  if (file !== undefined) {
    res.writeHead(status, headers)
    await pipeline(createReadStream(file), res)
    log.close(entry, status)
    return
  }
  const early = !req.complete
  res.writeHead(status, {
    'content-length': Buffer.byteLength(body),
    ...(early && { connection: 'close' }),
    ...headers,
  })
  // before the answer leaves: a client in this process could else have its next request here first,
  // and two would seem to be in flight
  log.close(entry, status)
  if (early) {
    // A connection that is closed with bytes unread is reset, and the reset may overtake the answer.
    // So the rest of the body is thrown away for a while first, as many servers do.
    res.flushHeaders()
    if (body) res.write(body)
    await receive(exchange, { enough: LINGER_BYTES, idle: LINGER_MS })
  }
  res.end(early ? undefined : body)
}

const LINGER_BYTES = 64 * 2 ** 20
const LINGER_MS = 500

/** Sends the head and the first half of the body. An empty body is made longer, to be halved. */
export const answerHalf = async ({ res }: Exchange, { status, headers, body }: Answer) => {
  const whole = Buffer.from(body || '  ')
  res.writeHead(status, { ...headers, 'content-length': whole.length })
  await new Promise(resolve => res.write(whole.subarray(0, whole.length / 2), resolve))
}

/** Cuts the connection with a TCP reset. */
export const cut = ({ req }: Exchange) => {
  req.socket.resetAndDestroy()
}

/** Waits until the client has left, or so many ms. */
export const untilGone = ({ res }: Exchange, ms?: number) =>
  new Promise<void>(resolve => {
    if (res.destroyed || ms === 0) return resolve()
    const timer = ms === undefined ? undefined : setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      res.off('close', done)
      resolve()
    }
    res.once('close', done)
  })
