/**
 * How much memory the parts of uploads take unless it is said. It stands apart from the other options,
 * for the command shows it before anything that speaks to Frame.io is loaded.
 */
import { LIMITS } from './protocol.ts'

/**
 * The smaller of 256 MiB and a quarter of what the process may use, but at least two parts: a
 * container's limit would end the process, without a word.
 *
 * @param constrained bytes; 0, or more than any machine has, where there is no limit
 */
export const defaultMemoryLimit = (constrained: number): number => {
  const most = 256 * 2 ** 20
  const share = constrained > 0 ? Math.floor(constrained / 4) : most
  return Math.max(2 * LIMITS.minPartSize, Math.min(most, share))
}

/** Bytes, on this machine or in this container. */
export const MEMORY_LIMIT = defaultMemoryLimit(process.constrainedMemory())
