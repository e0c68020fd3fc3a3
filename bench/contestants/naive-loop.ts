import type { Contestant } from '../job.ts'
import { send } from './frameio.ts'

/** What the API's own page suggests: read a part, register it, PUT it, next. */
export const upload: Contestant = async ({ url, partSize = 5 * 2 ** 20 }, source) => {
  let [number, total, size] = [0, 0, 0]
  let chunks: Buffer[] = []
  for await (const chunk of source()) {
    if (size >= partSize) {
      await send(url, { number: ++number, bytes: Buffer.concat(chunks) })
      chunks = []
      size = 0
    }
    chunks.push(chunk)
    size += chunk.length
    total += chunk.length
  }
  await send(url, { number: ++number, bytes: Buffer.concat(chunks), total })
}
