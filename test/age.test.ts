/**
 * How old the bytes of a file are, by its times.
 */
import { appendFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ageOf, bornAt, type FileTimes } from '../lib/follow/age.ts'
import { folderFor } from './support/sandboxes.ts'

const NOW = Date.UTC(2026, 5, 1)
const ago = (seconds: number) => NOW - seconds * 1_000
const times = (birthtimeMs: number, mtimeMs: number, ctimeMs: number): FileTimes => ({
  birthtimeMs,
  mtimeMs,
  ctimeMs,
})

const FAT_EPOCH = Date.UTC(1980)
const cases: readonly [what: string, FileTimes, age: number][] = [
  ['one that grows: its birth, and not its last byte', times(ago(600), ago(1), ago(1)), 600],
  ['a copy that keeps its times: older than itself', times(ago(2), ago(7_200), ago(2)), 7_200],
  ['no birth known, so the last change is given for it', times(ago(3), ago(90), ago(3)), 90],
  ['no birth known, so 0 is given for it', times(0, ago(90), ago(30)), 90],
  ['whole seconds', times(NOW - 1_999, NOW, NOW), 1],
  ['a camera whose clock was never set', times(ago(50), FAT_EPOCH, ago(40)), 50],
  ['a machine whose clock was not set yet', times(1_000, 2_000, ago(5)), 5],
  ['FAT, which knows no last change', times(ago(8), ago(6), Date.UTC(2076, 10, 29)), 8],
  ['nothing that can be right', times(0, FAT_EPOCH, 0), 0],
  ['a drive whose clock is ahead: never negative', times(ago(-90), ago(-90), ago(-90)), 0],
]

for (const [what, given, age] of cases) {
  t.test(what, async t => {
    t.equal(ageOf(bornAt(given), NOW), age)
    const inBigInts = Object.entries(given).map(([name, time]) => [name, BigInt(time)])
    t.equal(ageOf(bornAt(Object.fromEntries(inBigInts)), NOW), age)
  })
}

t.test('a file on this disk', async t => {
  const path = join(await folderFor(t), 'A001.mov')
  await writeFile(path, 'first')
  const born = bornAt(await stat(path))
  await new Promise(resolve => setTimeout(resolve, 20))
  await appendFile(path, 'second')
  const { birthtimeMs, mtimeMs } = await stat(path)
  // Where it is known.
  if (birthtimeMs > 0 && birthtimeMs < mtimeMs) t.equal(bornAt(await stat(path)), born)
  const then = Date.now() / 1_000 - 3_600
  await utimes(path, then, then)
  t.equal(ageOf(bornAt(await stat(path)), (then + 3_600) * 1_000 + 500), 3_600)
})
