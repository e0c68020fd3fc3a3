/**
 * The folder of an upload that was cut off while nothing got through, as a spool leaves it: so many
 * parts, whole on the disk, and a journal that has five marks of each.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { partFile } from '../lib/spool/folder.ts'
import { lineOf, opening } from '../lib/spool/journal.ts'
import { GiB, MiB } from './measure.ts'

const MARKS = 5

interface CutOff {
  /** Of the API, for the journal. */
  readonly origin: string
  readonly parts: number
  /** Of a part, in bytes. */
  readonly size: number
}

export const cutOff = async (dir: string, { origin, parts, size }: CutOff): Promise<void> => {
  const folder = join(dir, 'asset')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const upload = { assetId: 'asset', filetype: 'video/mp4', origin, partSize: 5 * MiB }
  const lines = [lineOf(opening({ ...upload, maxSize: 5 * 1_024 * GiB }), 0)]
  let durable = lines[0]?.length ?? 0
  const body = Buffer.alloc(size, 7)
  const crc = crc32(body)
  const marks = Array.from({ length: MARKS }, (_, index) => {
    const at = Math.ceil((size * (index + 1)) / MARKS)
    return { at, crc: crc32(body.subarray(0, at)) }
  })
  for (let n = 1; n <= parts; n++) {
    await writeFile(partFile(folder, n), body)
    const some = marks.map(mark => lineOf({ t: 'mark', n, ...mark }, durable))
    lines.push(...some, lineOf({ t: 'part', n, size, crc }, durable))
    durable += lines.slice(-MARKS - 1).join('').length
  }
  await writeFile(join(folder, 'journal'), lines.join(''))
}

/** Takes what is on the disk out of memory, as a power cut does. Whether that is allowed here. */
export const forget = async (): Promise<boolean> => {
  spawnSync('sync')
  return writeFile('/proc/sys/vm/drop_caches', '3').then(
    () => true,
    () => false,
  )
}
