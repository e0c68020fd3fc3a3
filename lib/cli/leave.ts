/**
 * The end of the process, which must not cut off a refresh of a device's tokens: where the answer to one
 * is lost, the device must be paired again.
 */
import { setTimeout as wait } from 'node:timers/promises'

/** Longest that such work is waited for at the end, in ms. */
const GRACE = 5_000

const underWay = new Set<Promise<unknown>>()

/** Work that is let finish. */
export const finishing = <T>(work: Promise<T>): Promise<T> => {
  underWay.add(work)
  const over = () => underWay.delete(work)
  work.then(over, over)
  return work
}

/** Ends the process: at once, where nothing is under way. */
export const leave = async (code: number): Promise<void> => {
  if (underWay.size > 0) await Promise.race([Promise.allSettled(underWay), wait(GRACE)])
  process.exit(code)
}
