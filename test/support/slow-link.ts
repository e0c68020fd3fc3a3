/**
 * A Frame.io and S3 behind one link that carries so many bytes per ms, shared by all connections.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/** Bytes that cross the link at once. */
const SLICE = 512

export const slowLink = async (t: { teardown(fn: () => unknown): void }, rate: number) => {
  /** May be changed meanwhile. */
  const link = { rate }
  const stored = new Map<number, number>()
  let puts = 0
  let carried = 0
  let freeAt = 0
  /** Crosses the link, after all that is on it already. */
  const cross = async (bytes: number) => {
    freeAt = Math.max(freeAt, performance.now()) + bytes / link.rate
    // A timer is no finer than a millisecond: what is left over is waited for with the next.
    const left = freeAt - performance.now()
    if (left >= 1) await wait(left)
    carried += bytes
  }
  const server = createServer(async (req, res) => {
    const { port } = server.address() as AddressInfo
    if (req.method === 'POST') {
      let body = ''
      for await (const chunk of req) body += chunk
      const { parts } = JSON.parse(body) as { parts: { number: number }[] }
      const urls = parts.map(({ number }) => `http://127.0.0.1:${port}/${number}`)
      res.end(JSON.stringify({ upload_urls: urls }))
      return
    }
    puts++
    let size = 0
    while (!req.readableEnded && !req.destroyed) {
      const chunk = req.read(Math.min(SLICE, req.readableLength)) as Buffer | null
      size += chunk?.length ?? 0
      await (chunk ? cross(chunk.length) : wait(1))
    }
    if (!req.complete) return
    stored.set(Number(req.url?.slice(1)), size)
    res.setHeader('etag', '"0"').end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    link,
    stored,
    baseUrl: `http://127.0.0.1:${port}`,
    puts: () => puts,
    /** Bytes that have crossed the link. */
    carried: () => carried,
  }
}
