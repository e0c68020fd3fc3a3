/**
 * The line that shows where a take in several files stands.
 */
import t from 'tap'
import type { State } from '../lib/cli/rates.ts'
import { Pieces } from '../lib/cli/v4/pieces.ts'
import { NO_PROGRESS } from '../lib/upload/progress.ts'

const MiB = 2 ** 20

const piece = (number: number, bytes: number) =>
  ({ type: 'piece', number, name: `A001_00${number}.mp4`, bytes }) as const

const file = (number: number, bytes: number) => {
  const stored = { fileId: `f-${number}`, name: `A001_00${number}.mp4`, bytes, parts: 1 }
  return { type: 'file', number, viewUrl: undefined, ...stored } as const
}

const at = (bytesReceived: number, bytesUploaded: number): State => ({
  ...NO_PROGRESS,
  bytesReceived,
  bytesUploaded,
  rateIn: MiB,
  rateOut: 2 * MiB,
  headroom: 600,
})

t.test('which file is recorded, which goes up, and how many are stored', async t => {
  const pieces = new Pieces()
  t.match(pieces.describe(at(MiB, 0)), /^in 1\.0 MiB \(1\.0 MiB\/s\), up 0\.0 KiB .*, buffered/)
  pieces.take(piece(1, 4 * MiB))
  pieces.take(piece(2, 5 * MiB))
  t.equal(
    pieces.describe(at(10 * MiB, MiB)),
    'in 10.0 MiB (1.0 MiB/s), up 1.0 MiB (2.0 MiB/s), file 3: 1.0 MiB in, file 1: 1.0 MiB of 4.0 MiB up, 0 stored, headroom 10 min, retries 0, lanes 0',
  )
  pieces.take(file(1, 4 * MiB))
  t.match(pieces.describe(at(10 * MiB, 6 * MiB)), /, file 2: 2\.0 MiB of 5\.0 MiB up, 1 stored,/)
  pieces.take(file(2, 5 * MiB))
  t.match(pieces.describe(at(10 * MiB, 9 * MiB)), /\/s\), file 3: 1\.0 MiB in, 2 stored,/)
  t.strictSame(
    pieces.stored.map(({ fileId }) => fileId),
    ['f-1', 'f-2'],
  )
})
