/**
 * A table of damages: what lies in a folder, and what must stand.
 */
import t from 'tap'
import { type Entry, opening } from '../lib/spool/journal.ts'
import { recover } from '../lib/spool/recover.ts'

const OPEN = opening({
  assetId: 'a',
  filetype: 'video/mp4',
  origin: 'https://api.frame.io',
  partSize: 5,
  maxSize: 100,
})
const part = (n: number, size = 5): Entry => ({ t: 'part', n, size, crc: n })
const stored = (n: number, size = 5): Entry => ({ t: 'stored', n, size })
const mem = (n: number, size = 5): Entry => ({ t: 'mem', n, size })
const mark = (n: number, at: number): Entry => ({
  t: 'mark',
  n,
  at,
  crc: at,
  whole: at === 5 || undefined,
})
const final = (parts: number, total: number): Entry => ({ t: 'final', parts, total })

interface Row {
  readonly name: string
  readonly entries: readonly Entry[]
  readonly files?: readonly [n: number, size: number][]
  readonly damagedAt?: number
  readonly isForeign?: boolean
  readonly isOverflow?: boolean
  readonly hasTake?: boolean
  /** What must stand, or the error. */
  readonly is: object | undefined
}

const ROWS: readonly Row[] = [
  { name: 'nothing', entries: [], is: undefined },
  {
    name: 'the opening alone',
    entries: [OPEN],
    is: { cut: { parts: 0, bytes: 0 }, send: [], marked: [] },
  },
  {
    name: 'parts without a journal',
    entries: [],
    files: [[1, 5]],
    is: { code: 'ERR_SPOOL_DAMAGED' },
  },
  {
    name: 'parts that memory could not hold',
    entries: [],
    files: [[3, 5]],
    isOverflow: true,
    is: { code: 'ERR_SPOOL_INCOMPLETE', assetId: 'a', path: '/spool/a', message: /by hand/ },
  },
  {
    name: 'a take that was to stay, without a journal',
    entries: [],
    hasTake: true,
    is: { code: 'ERR_SPOOL_DAMAGED' },
  },
  { name: 'no part that memory could not hold', entries: [], isOverflow: true, is: undefined },
  {
    name: 'a whole part and one that fills',
    entries: [OPEN, mark(1, 5), mark(2, 2), part(1), mark(2, 3)],
    files: [
      [1, 5],
      [2, 4],
    ],
    is: {
      cut: { parts: 1, bytes: 5 },
      send: [{ n: 1 }],
      marked: [{ n: 2, marks: [{ at: 2 }, { at: 3 }] }],
    },
  },
  {
    name: 'two parts that were written and never synced',
    entries: [OPEN, mark(1, 5), mark(2, 5), mark(3, 1)],
    files: [
      [1, 5],
      [2, 5],
      [3, 1],
    ],
    is: { cut: { parts: 0, bytes: 0 }, marked: [{ n: 1 }, { n: 2 }, { n: 3 }] },
  },
  {
    name: 'a part that is stored and gone, and one that is to be sent',
    entries: [OPEN, part(1), part(2), stored(1), final(2, 10)],
    files: [[2, 5]],
    is: {
      stored: { parts: 1, bytes: 5 },
      send: [{ n: 2 }],
      cut: { parts: 2, bytes: 10 },
      final: { total: 10 },
    },
  },
  {
    name: 'a part that is stored and still there is not sent again',
    entries: [OPEN, part(1), stored(1), final(1, 5)],
    files: [[1, 5]],
    is: { stored: { parts: 1, bytes: 5 }, send: [] },
  },
  {
    name: 'all is done',
    entries: [OPEN, part(1), final(1, 5), stored(1), { t: 'done' }],
    is: { isDone: true },
  },
  {
    name: 'a part that was in memory and is stored',
    entries: [OPEN, mem(1), stored(1), part(2, 3), final(2, 8)],
    files: [[2, 3]],
    is: { stored: { parts: 1, bytes: 5 }, send: [{ n: 2 }] },
  },
  {
    name: 'a part that was in memory and is not stored',
    entries: [OPEN, part(1), mem(2), part(3)],
    files: [
      [1, 5],
      [3, 5],
    ],
    is: { code: 'ERR_SPOOL_INCOMPLETE', from: 5, to: 10 },
  },
  {
    name: 'a part that was in memory, of which the journal had no time to tell',
    entries: [OPEN, part(1), mark(2, 5), mark(4, 3)],
    files: [
      [1, 5],
      [2, 5],
      [4, 3],
    ],
    is: { code: 'ERR_SPOOL_INCOMPLETE', partNumber: 3, from: 10, to: undefined },
  },
  {
    name: 'a part that was in memory and came to the disk after all',
    entries: [OPEN, mem(1), part(1), final(1, 5)],
    files: [[1, 5]],
    is: { send: [{ n: 1 }] },
  },
  {
    name: 'a file that is missing',
    entries: [OPEN, part(1), part(2), final(2, 10)],
    files: [[1, 5]],
    is: { code: 'ERR_SPOOL_INCOMPLETE', partNumber: 2, from: 5, to: 10 },
  },
  {
    name: 'a file that is too short',
    entries: [OPEN, part(1), part(2)],
    files: [
      [1, 5],
      [2, 4],
    ],
    is: { code: 'ERR_SPOOL_DAMAGED', path: '/spool/a/00002.part', offset: 4 },
  },
  {
    name: 'a file that is too long',
    entries: [OPEN, part(1)],
    files: [[1, 6]],
    is: { code: 'ERR_SPOOL_DAMAGED', path: '/spool/a/00001.part', offset: 5 },
  },
  {
    name: 'a journal that rotted',
    entries: [OPEN],
    damagedAt: 0,
    is: { code: 'ERR_SPOOL_DAMAGED', offset: 0 },
  },
  {
    name: 'a journal of a later version',
    entries: [OPEN],
    isForeign: true,
    is: { code: 'ERR_SPOOL_DAMAGED' },
  },
  {
    name: 'a journal without its opening',
    entries: [part(1)],
    files: [[1, 5]],
    is: { code: 'ERR_SPOOL_DAMAGED' },
  },
  {
    name: 'a second part line replaces the first',
    entries: [OPEN, part(1, 4), part(1, 5), final(1, 5)],
    files: [[1, 5]],
    is: { send: [{ n: 1, size: 5 }] },
  },
]

for (const { name, entries, files = [], damagedAt, is, ...row } of ROWS) {
  t.test(name, async t => {
    const { isForeign = false, isOverflow = false, hasTake = false } = row
    const reading = { entries, end: 0, damagedAt, isForeign }
    let found: unknown
    try {
      found = recover({ folder: '/spool/a', reading, files: new Map(files), isOverflow, hasTake })
    } catch (error) {
      found = error
    }
    if (is === undefined) t.equal(found, undefined)
    else t.match(found, is)
  })
}
