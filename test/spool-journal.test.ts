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
  const reading = readJournal(bytes)
  t.match(reading.entries, entries)
  t.match(reading, { end: bytes.length, damagedAt: undefined, isForeign: false })
})

t.test('half a line at the end is torn off', async t => {
  const bytes = journalOf([OPEN, part(1), part(2)])
  const whole = journalOf([OPEN, part(1)]).length
  for (let cut = whole; cut < bytes.length; cut++) {
    const reading = readJournal(bytes.subarray(0, cut))
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
    const reading = readJournal(spoil(bytes, first + 20))
    t.match(reading, { end: first, damagedAt: undefined })
    t.equal(reading.entries.length, 1)
  },
)

t.test('a bad line that a later one knew to be durable is damage', async t => {
  const bytes = journalOf([OPEN, part(1), part(2)])
  const first = journalOf([OPEN]).length
  t.equal(readJournal(spoil(bytes, 3)).damagedAt, 0)
  t.equal(readJournal(spoil(bytes, first + 20)).damagedAt, first)
})

t.test('garbage, zeros and nothing at all are no journal', async t => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(5_000),
    Buffer.from('{}\n'),
    Buffer.alloc(99, 10),
  ]) {
    t.match(readJournal(bytes), { entries: [], end: 0, damagedAt: undefined })
  }
})

t.test('what a later version wrote is not guessed at', async t => {
  t.equal(readJournal(journalOf([{ ...OPEN, version: 2 } as Entry])).isForeign, true)
  t.equal(readJournal(journalOf([OPEN, { t: 'news' } as unknown as Entry])).isForeign, true)
})
