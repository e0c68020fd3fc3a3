import t from 'tap'
import { type Entry, lineOf, opening, readJournal } from '../lib/spool/journal.ts'

const OPEN = opening({
  assetId: 'a',
  filetype: 'video/mp4',
  origin: 'https://api.frame.io',
  partSize: 5,
  maxSize: 100,
})
const part = (n: number): Entry => ({ t: 'part', n, size: 5, crc: n })

/** Lines, each of which knows that all before it were durable, or that nothing was. */
const journalOf = (entries: readonly Entry[], durable = true): Buffer => {
  let text = ''
  for (const entry of entries) text += lineOf(entry, durable ? text.length : 0)
  return Buffer.from(text)
}

const spoil = (bytes: Buffer, at: number) => {
  const spoilt = Buffer.from(bytes)
  spoilt[at] = (spoilt[at] as number) ^ 0xff
  return spoilt
}

t.test('what was written is read', async t => {
  const entries = [OPEN, part(1), part(2)]
  const bytes = journalOf(entries)
  const reading = await readJournal([bytes])
  t.match(reading.entries, entries)
  t.match(reading, { end: bytes.length, damagedAt: undefined, isForeign: false })
})

t.test('half a line at the end is torn off', async t => {
  const bytes = journalOf([OPEN, part(1), part(2)])
  const whole = journalOf([OPEN, part(1)]).length
  for (let cut = whole; cut < bytes.length; cut++) {
    const reading = await readJournal([bytes.subarray(0, cut)])
    t.match(reading, { end: whole, damagedAt: undefined }, `${cut} bytes`)
    t.equal(reading.entries.length, 2)
  }
})

t.test(
  'a bad line that was not durable begins a torn tail, with good lines behind it or not',
  async t => {
    const entries = [OPEN, part(1), part(2), part(3)]
    const bytes = journalOf(entries, false)
    const first = journalOf([OPEN], false).length
    const reading = await readJournal([spoil(bytes, first + 20)])
    t.match(reading, { end: first, damagedAt: undefined })
    t.equal(reading.entries.length, 1)
  },
)

t.test('a bad line that a later one knew to be durable is damage', async t => {
  const bytes = journalOf([OPEN, part(1), part(2)])
  const first = journalOf([OPEN]).length
  t.equal((await readJournal([spoil(bytes, 3)])).damagedAt, 0)
  t.equal((await readJournal([spoil(bytes, first + 20)])).damagedAt, first)
})

t.test('garbage, zeros and nothing at all are no journal', async t => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(5_000),
    Buffer.from('{}\n'),
    Buffer.alloc(99, 10),
  ]) {
    t.match(await readJournal([bytes]), { entries: [], end: 0, damagedAt: undefined })
  }
})

t.test('what a later version wrote is not guessed at', async t => {
  t.equal((await readJournal([journalOf([{ ...OPEN, version: 2 } as Entry])])).isForeign, true)
  t.equal(
    (await readJournal([journalOf([OPEN, { t: 'news' } as unknown as Entry])])).isForeign,
    true,
  )
})

t.test('a line is read wherever it is cut in two on its way from the disk', async t => {
  const bytes = journalOf([OPEN, part(1), part(2)])
  for (const size of [1, 7, 64]) {
    const chunks: Buffer[] = []
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
    t.match(await readJournal(chunks), { entries: [OPEN, part(1), part(2)], end: bytes.length })
  }
})

t.test('marks are kept of those parts alone of which nothing else is known', async t => {
  const mark = (n: number, at: number): Entry => ({ t: 'mark', n, at, crc: at })
  const mem: Entry = { t: 'mem', n: 2, size: 5 }
  const entries = [OPEN, mark(1, 2), mark(2, 1), part(1), mark(1, 5), mem, mark(3, 1), mark(3, 2)]
  const reading = await readJournal([journalOf(entries)])
  t.match(reading.entries, [OPEN, part(1), mem, mark(3, 1), mark(3, 2)])
  t.equal(reading.entries.length, 5)
})
