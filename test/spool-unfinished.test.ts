/**
 * An upload that was cut off, opened again over a disk that is prepared.
 */
import { crc32 } from 'node:zlib'
import t from 'tap'
import { type Entry, lineOf, opening } from '../lib/spool/journal.ts'
import type { Unfinished } from '../lib/spool/unfinished.ts'
import { LyingDisk } from './support/lying-disk.ts'
import { bytes } from './support/sandboxes.ts'
import { openUnfinished } from './support/unfinished.ts'

const FOLDER = '/spool/asset'
const OPEN = opening({
  assetId: 'asset',
  filetype: 'video/mp4',
  origin: 'https://api.frame.io',
  partSize: 1_000,
  maxSize: 1e9,
})
const part = (n: number, data: Buffer): Entry => ({
  t: 'part',
  n,
  size: data.length,
  crc: crc32(data),
})

const diskWith = (entries: readonly Entry[], parts: Readonly<Record<number, Buffer>>): LyingDisk =>
  LyingDisk.of(
    new Map([
      [`${FOLDER}/journal`, Buffer.from(entries.map(entry => lineOf(entry, 0)).join(''))],
      ...Object.entries(parts).map(
        ([n, data]) => [`${FOLDER}/${n.padStart(5, '0')}.part`, data] as const,
      ),
    ]),
  )

/** Whoever has it, and how often it was given back. */
const countedLock = () => {
  const lock = {
    released: 0,
    take: async () => ({
      release: async () => {
        lock.released++
      },
    }),
  }
  return lock
}

const openOn = async (disk: LyingDisk, lock = countedLock()): Promise<Unfinished> =>
  (await openUnfinished({ folder: FOLDER, disk, lock: lock.take })) as Unfinished

const sendAll = async (unfinished: Unfinished): Promise<void> => {
  for await (const part of unfinished.parts(error => t.fail(error.message))) {
    for await (const chunk of part.body()) void chunk
    part.release(true)
    await new Promise(setImmediate)
  }
}

t.test(
  'a disk that fails while parts are stored is told at the end, and the lock is free',
  async t => {
    const [one, two, three] = [bytes(1_000), bytes(1_000), bytes(500)]
    const entries = [OPEN, part(1, one), part(2, two), part(3, three)]
    for (const on of ['sync', 'write'] as const) {
      const disk = diskWith(entries, { 1: one, 2: two, 3: three })
      const lock = countedLock()
      const unfinished = await openOn(disk, lock)
      await unfinished.end()
      disk.faults.push({ on, after: 0, times: 9, error: new Error('EIO: of the test') })
      await sendAll(unfinished)
      await t.rejects(unfinished.finish(), { message: 'EIO: of the test' })
      t.equal(lock.released, 1)
      t.equal(disk.failed.length, 1, 'a sync that failed is not repeated')
      t.equal(disk.files.size, 4, 'and nothing was deleted')
    }
  },
)

t.test('a recording whose last part went up as not the final one is not complete', async t => {
  const [one, two] = [bytes(1_000), bytes(1_000)]
  for (const second of [{ t: 'mem', n: 2, size: 1_000 } as const, part(2, two)]) {
    const entries: Entry[] = [OPEN, part(1, one), second, { t: 'stored', n: 2, size: 1_000 }]
    const disk = diskWith(entries, { 1: one })
    const unfinished = await openOn(disk)
    await t.rejects(unfinished.end(), { code: 'ERR_SPOOL_INCOMPLETE', partNumber: 3, from: 2_000 })
    await unfinished.close()
    t.ok(disk.files.has(`${FOLDER}/00001.part`))
  }
})

t.test('a part that filled is not cut short where bytes that were durable have rotted', async t => {
  const data = bytes(900)
  const mark = (at: number, synced?: true): Entry => ({
    t: 'mark',
    n: 1,
    at,
    crc: crc32(data.subarray(0, at)),
    synced,
  })
  const rotten = Buffer.from(data)
  rotten[400] = (rotten[400] as number) ^ 1
  const disk = diskWith([OPEN, mark(300, true), mark(900), mark(600, true)], { 1: rotten })
  await t.rejects(openOn(disk), { code: 'ERR_SPOOL_DAMAGED', path: /00001\.part$/, offset: 300 })
  t.ok(disk.files.get(`${FOLDER}/00001.part`)?.equals(rotten), 'all of it stays')
  const torn = diskWith([OPEN, mark(300, true), mark(900)], { 1: rotten })
  t.equal((await openOn(torn)).whole.bytes, 300, 'what was not durable is cut off')
})

t.test('a resume that is killed once it has cut the recording is resumed', async t => {
  const [one, two, three] = [bytes(600), bytes(500), bytes(400)]
  const mark = (n: number, data: Buffer, at = data.length): Entry => ({
    t: 'mark',
    n,
    at,
    crc: crc32(data.subarray(0, at)),
    synced: true,
  })
  // The rest of the first part, which was in memory, is lost.
  const entries = [OPEN, mark(1, one), mark(2, two), mark(3, three, 100)]
  const disk = diskWith(entries, { 1: one, 2: two, 3: three })
  await (await openOn(disk)).close()
  for (let calls = 0; calls <= disk.calls.length; calls++) {
    const killed = disk.after(calls)
    const unfinished = await openOn(killed)
    t.strictSame(unfinished.whole, { parts: 1, bytes: 600 }, `after ${calls} calls`)
    await unfinished.close()
    t.ok(killed.files.get(`${FOLDER}/00002.part.torn`)?.equals(two), 'what stood behind is kept')
    t.ok(killed.files.get(`${FOLDER}/00003.part.torn`)?.equals(three))
  }
})

t.test('a file that is gone when it is to be sent is not made anew, empty', async t => {
  const one = bytes(1_000)
  const disk = diskWith([OPEN, part(1, one)], { 1: one })
  const unfinished = await openOn(disk)
  await unfinished.end()
  await disk.remove(`${FOLDER}/00001.part`)
  let damage: Error | undefined
  for await (const part of unfinished.parts(error => {
    damage = error
  })) {
    const read = async () => {
      for await (const chunk of part.body()) void chunk
    }
    await t.rejects(read(), { code: 'ERR_SPOOL_DAMAGED', cause: { code: 'ENOENT' } })
    await part.ready
  }
  t.match(damage, { code: 'ERR_SPOOL_DAMAGED', cause: { code: 'ENOENT' } })
  t.notOk(disk.files.has(`${FOLDER}/00001.part`))
})

t.test('nothing is read any more once it is closed', async t => {
  const one = bytes(3_000_000)
  const disk = diskWith([OPEN, part(1, one)], { 1: one })
  let open = 0
  let reads = 0
  const { openToRead } = disk
  disk.openToRead = async path => {
    const file = await openToRead.call(disk, path)
    open++
    const read: typeof file.read = async (into, at) => {
      reads++
      return file.read(into, at)
    }
    return { ...file, read, close: async () => void open-- }
  }
  const unfinished = await openOn(disk)
  await unfinished.end()
  const { value } = await unfinished.parts(error => t.fail(error.message)).next()
  t.equal(value?.number, 1, 'the last part, which is being looked at before it is registered')
  await new Promise(setImmediate)
  t.equal(open, 1)
  reads = 0
  await unfinished.close()
  t.equal(open, 0)
  t.ok(reads <= 1, 'and nobody waited for the rest of it')
})
