import { pipeline } from 'node:stream/promises'
import pLimit from 'p-limit'
import { streamChunker } from '../../test/support/stream-chunker.ts'
import { type Contestant, LANES } from '../job.ts'
import { type Part, send } from './frameio.ts'

/** `stream-chunker` cuts, `p-limit` holds the lanes. */
export const upload: Contestant = async ({ url, partSize = 5 * 2 ** 20 }, source) => {
  const limit = pLimit(LANES)
  const sending = new Set<Promise<void>>()
  const start = (part: Part) => {
    const sent = limit(() => send(url, part)).finally(() => sending.delete(sent))
    sending.add(sent)
  }
  let [number, total] = [0, 0]
  let held: Buffer | undefined
  const consume = async (cut: AsyncIterable<Buffer>) => {
    for await (const bytes of cut) {
      if (held) start({ number: ++number, bytes: held })
      if (sending.size >= LANES) await Promise.race(sending)
      held = bytes
      total += bytes.length
    }
  }
  await pipeline(source(), streamChunker(partSize, { flush: true }), consume)
  if (held) start({ number: ++number, bytes: held, total })
  await Promise.all(sending)
}
