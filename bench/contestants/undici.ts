import { Agent, request } from 'undici'
import { type Contestant, LANES } from '../job.ts'

/** The floor: bare PUTs of buffers that are ready, with no source and no copy. */
export const upload: Contestant = async ({ url, bytes, partSize = 5 * 2 ** 20 }) => {
  const dispatcher = new Agent()
  let next = 0
  const lane = async () => {
    const body = Buffer.alloc(partSize, 7)
    while (next < bytes / partSize) {
      const answer = await request(`${url}/bucket/${next++}`, { dispatcher, method: 'PUT', body })
      await answer.body.text()
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  await dispatcher.close()
}
