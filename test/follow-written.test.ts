/**
 * How far a file counts as written, on files that were made large beforehand, have holes, or are cut.
 */
import t from 'tap'
import { hasZeroPage, Written } from '../lib/follow/written.ts'

const MiB = 2 ** 20
/** As much as is read at once. */
const ZEROS = Buffer.alloc(MiB)

/** A file that is mostly zeros, and what was read of it. */
class Sparse {
  size = 0
  bytesRead = 0
  readonly #bytes = new Map<number, number>()

  put(at: number, byte = 1): void {
    this.#bytes.set(at, byte)
    this.size = Math.max(this.size, at + 1)
  }

  readonly read = async (at: number, length: number): Promise<Buffer> => {
    const size = Math.max(0, Math.min(length, this.size - at))
    this.bytesRead += size
    const there = [...this.#bytes].filter(([offset]) => offset >= at && offset < at + size)
    if (there.length === 0) return ZEROS.subarray(0, size)
    const bytes = Buffer.alloc(size)
    for (const [offset, byte] of there) bytes[offset - at] = byte
    return bytes
  }
}

const setUp = () => {
  const file = new Sparse()
  const written = new Written(file.read)
  const look = async (times = 1) => {
    for (let time = 0; time < times; time++) await written.look(file.size)
    return written.bytes
  }
  return { file, written, look }
}

t.test('what grows counts up to its last byte that is not zero', async t => {
  const { file, look } = setUp()
  t.equal(await look(), 0, 'empty')
  file.put(0)
  t.equal(await look(), 1, 'one byte')
  file.put(9_999)
  t.equal(await look(), 10_000)
  file.size = 10_100
  t.equal(await look(), 10_000, 'zeros behind it do not count')
  file.put(10_150)
  t.equal(await look(), 10_151, 'until something stands behind them')
})

t.test('a look at what grows reads its end, and no more', async t => {
  const { file, look } = setUp()
  file.put(500 * MiB)
  t.equal(await look(), 500 * MiB + 1)
  t.ok(file.bytesRead <= 4_096, `${file.bytesRead}`)
})

t.test('of a file that was made large beforehand its writer is followed', async t => {
  const { file, look } = setUp()
  file.size = 10 * 1_024 * MiB
  t.equal(await look(), 0)
  for (let at = 0; at < 8; at++) {
    for (let piece = 0; piece < 30; piece++) file.put((at * 30 + piece) * MiB + 77)
    t.equal(await look(), (at * 30 + 29) * MiB + 78, `piece ${at}`)
  }
})

t.test('what is written far behind a hole is found, and then what is written further', async t => {
  const { file, look } = setUp()
  file.put(5 * MiB)
  file.size = 400 * MiB
  await look()
  file.put(200 * MiB)
  t.equal(await look(30), 200 * MiB + 1, 'within as many looks as 8 MiB go into it')
  file.put(200 * MiB + 4_000)
  t.equal(await look(), 200 * MiB + 4_001)
})

t.test('what is written behind the far cursor is found as it begins anew', async t => {
  const { file, look } = setUp()
  file.put(MiB)
  file.size = 200 * MiB
  await look(10)
  file.put(70 * MiB)
  t.equal(await look(30), 70 * MiB + 1)
})

t.test('a large hole is gone through bit by bit', async t => {
  const { file, look } = setUp()
  file.size = 10 * 1_024 * MiB
  for (let count = 0; count < 5; count++) {
    file.bytesRead = 0
    await look()
    t.ok(file.bytesRead <= 10 * MiB, `${file.bytesRead}`)
  }
})

t.test('a file that is cut counts as far as it is written now', async t => {
  const { file, look } = setUp()
  file.put(3 * MiB)
  file.put(9 * MiB)
  t.equal(await look(), 9 * MiB + 1)
  file.size = 5 * MiB
  t.equal(await look(), 3 * MiB + 1, 'not to its end: those are zeros')
  file.size = 0
  t.equal(await look(), 0)
})

t.test('after a cut within zeros, what is written then is found', async t => {
  const { file, look } = setUp()
  file.put(MiB)
  file.size = 200 * MiB
  await look(15)
  file.size = 50 * MiB
  await look()
  file.size = 200 * MiB
  file.put(90 * MiB)
  t.equal(await look(30), 90 * MiB + 1)
})

t.test('looking back finds the last byte at once, whatever lies before it', async t => {
  const { file, written } = setUp()
  file.put(10)
  file.put(300 * MiB)
  file.size = 310 * MiB
  await written.lookBack(file.size)
  t.equal(written.bytes, 300 * MiB + 1)
  await written.lookBack(200 * MiB)
  t.equal(written.bytes, 11, 'also below what counted')
})

t.test('a page of zeros is seen, and less is none', async t => {
  const bytes = Buffer.alloc(40_960, 1)
  t.equal(hasZeroPage(bytes), false)
  bytes.fill(0, 8_192, 12_287)
  t.equal(hasZeroPage(bytes), false, 'one byte is something')
  bytes[12_287] = 0
  t.equal(hasZeroPage(bytes), true)
  bytes[10_000] = 7
  t.equal(hasZeroPage(bytes), false, 'also in its middle')
  t.equal(hasZeroPage(Buffer.alloc(4_095)), false, 'less than a page')
})
