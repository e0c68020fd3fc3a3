/**
 * What the pieces of a recording are called: `A001_001.mp4`, `A001_002.mp4`, …
 */
import { extname } from 'node:path'

/** @param number counted from 1 */
export const segmentName = (name: string, number: number): string => {
  const extension = extname(name)
  const stem = name.slice(0, name.length - extension.length)
  return `${stem}_${String(number).padStart(3, '0')}${extension}`
}
