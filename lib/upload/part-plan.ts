/**
 * How large is the next part? Pure arithmetic.
 *
 * S3 and Frame.io allow 10,000 parts, so parts of a constant 5 MiB end at 48.8 GiB: eight minutes
 * of 4K ProRes. Small parts are wanted all the same, since what is left to send after the recording
 * ends is at least one part. So parts start small and grow with what was cut already: each is at
 * least 1/900 of it, which reaches 5 TiB after 9,826 parts.
 */
import type { Limits } from '../frameio/protocol.ts'

/** The size of the next part in bytes, given how many bytes were cut into parts before it. */
export type PartPlan = (bytesCut: number) => number

/** The plan for parts of at least `partSize` bytes in a stream of at most `maxSize` bytes. */
export const partPlan = (partSize: number, maxSize: number, limits: Limits): PartPlan => {
  if (partSize * limits.maxParts >= maxSize) return () => partSize
  const { growthDivisor, growthStep, growthCap } = limits
  return bytesCut => {
    const fraction = Math.ceil(bytesCut / growthDivisor / growthStep) * growthStep
    return Math.max(partSize, Math.min(fraction, growthCap))
  }
}
