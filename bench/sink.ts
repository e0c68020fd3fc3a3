/**
 * Where all contestants upload to, in a process of its own: a Frame.io and an S3 that read every
 * byte before they answer, keep none, and check nothing but that the bytes came.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { SELF_SIGNED } from '../test/support/self-signed.ts'

export interface SinkOptions {
  /** HTTPS, with a certificate that nobody signed. */
  readonly tls?: boolean
  /** Before each answer of the API, in ms. */
  readonly apiLatency?: number
  /** Before each answer of the storage, in ms. */
  readonly storageLatency?: number
  /** Bytes of a slice of V4's. */
  readonly sliceSize?: number
  /** Share of PUTs that are reset somewhere in their bodies. */
  readonly resets?: number
}

/** What came since the sink was told to begin. */
export interface Received {
  /** Bytes of all bodies of PUTs, those that were reset included. */
  readonly bytes: number
  /** Bytes of what was stored, each path once. */
  readonly stored: number
  readonly puts: number
  readonly resets: number
  readonly registrations: number
  /** When the first PUT came, in ms since the epoch. */
  readonly firstPut: number
}

const serve = (options: SinkOptions): Server => {
  const { tls, apiLatency = 0, storageLatency = 0, resets = 0, sliceSize = 0 } = options
  const stored = new Map<string, number>()
  let received = { bytes: 0, puts: 0, resets: 0, registrations: 0, firstPut: 0 }
  let random = randomFrom(1)
  let isOut = false

  const begin = () => {
    stored.clear()
    received = { bytes: 0, puts: 0, resets: 0, registrations: 0, firstPut: 0 }
    random = randomFrom(1)
    isOut = false
  }
  const report = (): Received => ({
    ...received,
    stored: [...stored.values()].reduce((sum, size) => sum + size, 0),
  })
  process.on('message', order => {
    if (order === 'begin') begin()
    process.send?.(report())
  })

  const put = (req: IncomingMessage, res: ServerResponse) => {
    const length = Number(req.headers['content-length'] ?? Infinity)
    const end = random() < resets ? Math.floor(random() * length) : Infinity
    let bytes = 0
    received.firstPut ||= performance.timeOrigin + performance.now()
    received.puts++
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      received.bytes += chunk.length
      if (bytes < end || req.destroyed) return
      received.resets++
      req.socket.resetAndDestroy()
    })
    req.on('end', () => {
      // The AWS SDK and the AWS command wrap a body in chunks with checksums.
      stored.set(req.url ?? '', Number(req.headers['x-amz-decoded-content-length'] ?? bytes))
      answer(res, storageLatency, '', { etag: '"0123456789abcdef0123456789abcdef"' })
    })
  }

  const call = (req: IncomingMessage, res: ServerResponse) => {
    const chunks: Buffer[] = []
    req.on('data', chunk => chunks.push(chunk))
    req.on('end', () => {
      const url = new URL(req.url ?? '', `${tls ? 'https' : 'http'}://${req.headers.host}`)
      if (url.pathname.endsWith('/realtime_upload/parts')) {
        received.registrations++
        const { parts } = JSON.parse(Buffer.concat(chunks).toString())
        const upload_urls = parts.map(
          ({ number }: { number: number }) =>
            `${url.origin}${url.pathname}/${number}?X-Amz-SignedHeaders=content-type%3Bhost`,
        )
        answer(res, apiLatency, JSON.stringify({ upload_urls }))
      } else if (url.pathname.endsWith('/local_upload')) {
        const { name, file_size } = JSON.parse(Buffer.concat(chunks).toString()).data
        const upload_urls = Array.from({ length: Math.ceil(file_size / sliceSize) }, (_, at) => ({
          size: Math.min(sliceSize, file_size - at * sliceSize),
          url: `${url.origin}/bucket/${at}?X-Amz-SignedHeaders=content-type%3Bhost`,
        }))
        const data = { id: 'file', name, status: 'created', media_type: 'video/mp4', upload_urls }
        answer(res, apiLatency, JSON.stringify({ data }))
      } else if (url.searchParams.has('uploads')) {
        answer(res, 0, multipart('Initiate', '<UploadId>1</UploadId>'))
      } else {
        answer(res, 0, multipart('Complete', '<ETag>"1"</ETag>'))
      }
    })
  }

  const handle = (req: IncomingMessage, res: ServerResponse) => {
    // A contestant says itself when the network goes, and when it comes back.
    if (req.url === '/outage') {
      isOut = req.method === 'POST'
      return answer(res, 0, '')
    }
    if (isOut) return req.socket.resetAndDestroy()
    if (req.method === 'PUT') return put(req, res)
    if (req.method === 'POST') return call(req, res)
    req.resume()
    // rclone looks for what is there, before and after.
    const { stored: size } = report()
    res.writeHead(size > 0 ? 200 : 404, { 'content-length': size, etag: '"1-1"' }).end()
  }
  const server = tls ? createTlsServer(SELF_SIGNED, handle) : createServer(handle)
  return Object.assign(server, { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 })
}

const answer = (res: ServerResponse, latency: number, body: string, headers = {}) => {
  const send = () => res.writeHead(200, headers).end(body)
  if (latency > 0) setTimeout(send, latency)
  else send()
}

const multipart = (step: string, content: string) =>
  `<?xml version="1.0"?><${step}MultipartUploadResult><Bucket>b</Bucket><Key>k</Key>${content}</${step}MultipartUploadResult>`

/** Numbers from 0 to 1, the same for every contestant (mulberry32). */
const randomFrom = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const options: SinkOptions = JSON.parse(process.argv[2] ?? '{}')
const server = serve(options)
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.send?.(`${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`)
})
process.once('disconnect', () => process.exit())
