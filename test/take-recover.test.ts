/**
 * A recording that was cut off, as its journal tells of it.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { lineOf } from '../lib/spool/journal.ts'
import { lookAtTake } from '../lib/v4/take-recover.ts'

/** Pieces of a second, in a day. */
const DAY = 86_400

// Only a guard against hanging: where each line costs what those before it cost together, this takes ten minutes.
t.test('a day in seconds is looked at in seconds', { timeout: 60_000 }, async t => {
  const folder = t.testdir()
  const opening = { origin: 'https://api.frame.io', accountId: 'a', folderId: 'b', name: 'A.ts' }
  let text = lineOf({ t: 'take', version: 1, ...opening }, 0)
  for (let n = 1; n <= DAY; n++) {
    const name = `A_${n}.ts`
    text += lineOf({ t: 'begin', n, name, file: name }, 0)
    text += lineOf({ t: 'mark', n, at: 100, crc: 1 }, 0)
    text += lineOf({ t: 'whole', n, size: 100, crc: 1 }, 0)
    text += lineOf({ t: 'stored', n, fileId: 'c', name, bytes: 100, parts: 1 }, 0)
  }
  await writeFile(join(folder, 'journal'), text)
  const pieces = (await lookAtTake(folder))?.pieces ?? []
  t.equal(pieces.length, DAY)
  t.match(pieces.at(-1), { n: DAY, whole: { at: 100, crc: 1 }, marks: [], stored: { bytes: 100 } })
})
