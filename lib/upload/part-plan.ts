/**
 * How large is the next part? Pure arithmetic.
 *
 * S3 and Frame.io allow 10,000 parts, so parts of a constant 5 MiB end at 48.8 GiB: eight minutes
 * of 4K ProRes. Small parts are wanted all the same, since what is left to send after the recording
 * ends is at least one part. So parts start small and grow with what was cut already: each is at
 * least 1/900 of it, which reaches 5 TiB after 9,826 parts.
 *
 * Where it is known how much will come, numbers can be spent on smaller parts up to there: as many as
 * are left when those are set aside that the plan takes from there on. How large the largest part up
 * to there must be then is searched for; beyond, the plan is what it was.
 */
import type { Limits } from '../frameio/protocol.ts'

/** The size of the next part in bytes, given how many bytes were cut into parts before it. */
export type PartPlan = (bytesCut: number) => number

export interface PlanOptions {
  /** Least bytes of a part that is not final. */
  readonly partSize: number
  /** Most bytes of the stream. */
  readonly maxSize: number
  /** Bytes that the stream is likely to have; it may have more, or fewer. */
  readonly expectedSize: number | undefined
}

/**
 * Towards an expected end each part is at least 1/80 of what was cut so far, up to the largest: a
 * recording that ends early ends with a small part, for which the largest is hardly larger.
 */
const EAGER_DIVISOR = 80

/** The plan for a stream. */
export const partPlan = (options: PlanOptions, limits: Limits): PartPlan => {
  const { partSize, maxSize, expectedSize } = options
  const { maxParts, maxFilesize, growthDivisor, growthStep, growthCap } = limits
  if (partSize * maxParts >= maxSize) return () => partSize

  /** At least a fraction of what was cut so far, in whole steps. */
  const growth =
    (divisor: number): PartPlan =>
    bytesCut =>
      Math.max(partSize, Math.ceil(bytesCut / divisor / growthStep) * growthStep)
  /** Parts by `plan`, but none over `largest`, which is at least `partSize`. */
  const capped =
    (plan: PartPlan, largest: number): PartPlan =>
    bytesCut =>
      Math.min(plan(bytesCut), largest)

  /** Up to `end` parts by `early`, the largest as small as can be; `beyond` from there on. */
  const sparing = (end: number, early: PartPlan, beyond: PartPlan): PartPlan => {
    const numbers = maxParts - countParts(beyond, end, maxSize)
    const fits = (steps: number) =>
      countParts(capped(early, partSize + steps * growthStep), 0, end) <= numbers
    let [low, high] = [0, Math.ceil(early(end) / growthStep)]
    if (!fits(high)) return beyond
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (fits(middle)) high = middle
      else low = middle + 1
    }
    const upToEnd = capped(early, partSize + low * growthStep)
    return bytesCut => (bytesCut < end ? upToEnd : beyond)(bytesCut)
  }

  const growing = growth(growthDivisor)
  const whole = capped(growing, Math.max(partSize, growthCap))
  // Where less may come than Frame.io takes: smaller parts late, and never a larger one.
  const bounded = maxSize < maxFilesize ? sparing(maxSize, growing, whole) : whole
  if (expectedSize === undefined) return bounded
  return sparing(Math.min(expectedSize, maxSize), growth(EAGER_DIVISOR), bounded)
}

/** Parts that a plan takes from one byte to another. */
const countParts = (plan: PartPlan, from: number, to: number): number => {
  let parts = 0
  for (let at = from; at < to; parts++) at += plan(at)
  return parts
}
