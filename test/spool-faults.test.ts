/**
 * A disk that fails: whatever it does, the upload gets its bytes, and what was durable stays.
 */
import t from 'tap'
import { RealtimeUploadError } from '../lib/errors.ts'
import type { Part } from '../lib/spool/home.ts'
import { Overflow } from '../lib/spool/overflow.ts'
import { Spool, type SpoolOptions } from '../lib/spool/spool.ts'
import type { Unfinished } from '../lib/spool/unfinished.ts'
import { BlockAccount, BlockPool } from '../lib/upload/blocks.ts'
import { Splitter } from '../lib/upload/splitter.ts'
import { keptIn } from '../lib/upload/spooling.ts'
import { spoolWarning } from '../lib/upload/warnings.ts'
import { LyingDisk } from './support/lying-disk.ts'
import { bytes, until } from './support/sandboxes.ts'
import { within } from './support/servers.ts'
import { openUnfinished } from './support/unfinished.ts'

const lock = async () => ({ release: async () => {} })

const error = (code: string) => Object.assign(new Error(`${code}: of the test`), { code })

/** Everything a take gives, over a disk that is prepared; where the network is away, nothing is stored. */
const takeOver = async (
  disk: LyingDisk,
  data: Buffer,
  {
    isOffline = false,
    onSent = () => {},
    keep,
    ...options
  }: Partial<SpoolOptions> & { isOffline?: boolean; onSent?: () => void; keep?: string } = {},
) => {
  const memoryLimit = 1e6
  const memory = new BlockAccount(new BlockPool(memoryLimit, 512))
  const warnings: string[] = []
  const spool = new Spool({
    folder: '/spool/asset',
    disk,
    lock,
    memory,
    memoryLimit,
    maxBytes: Number.POSITIVE_INFINITY,
    keepFree: 0,
    syncEvery: 5,
    onWarning: code => warnings.push(code),
    onWhole: () => {},
    ...options,
  })
  const sent = new Map<number, Buffer>()
  const sending: Promise<void>[] = []
  const send = async (part: Part) => {
    await part.ready
    if (isOffline) return
    const chunks: Uint8Array[] = []
    for await (const chunk of part.body()) chunks.push(Buffer.from(chunk))
    part.rest?.()
    sent.set(part.number, Buffer.concat(chunks))
    part.release(true)
  }
  await spool.open({
    assetId: 'asset',
    filetype: 'video/mp4',
    origin: 'https://api.frame.io',
    partSize: 1_000,
    maxSize: 1e9,
    keep,
  })
  const splitter = new Splitter({
    plan: () => 1_000,
    home: spool,
    start: { parts: 0, bytes: 0 },
    onPart: part => sending.push(send(part)),
    onSize: () => {},
    md5: false,
  })
  for (let at = 0; at < data.length; at += 700) {
    const chunk = Buffer.from(data.subarray(at, at + 700))
    t.equal(splitter.push(chunk, 0, chunk.length), chunk.length)
    await new Promise(setImmediate)
  }
  splitter.end()
  await spool.end(splitter.parts, splitter.bytes)
  await within(30_000, Promise.all(sending))
  onSent()
  await (isOffline ? spool.close() : spool.finish())
  const parts = [...sent].sort(([one], [other]) => one - other).map(([, part]) => part)
  return { whole: Buffer.concat(parts), warnings, spool, memory }
}

t.test('a call that fails, whichever it is, loses nothing, and is said once', async t => {
  const data = bytes(9_500)
  const healthy = new LyingDisk()
  await takeOver(healthy, data)
  for (const on of ['write', 'sync', 'make', 'open'] as const) {
    for (let nth = 3; nth < 25; nth++) {
      const disk = new LyingDisk()
      disk.faults.push({ on, times: 1, after: nth, error: error('EIO') })
      const { whole, warnings } = await takeOver(disk, data)
      t.ok(whole.equals(data), `${on} ${nth}`)
      t.ok(warnings.length <= 1 && warnings.every(code => code === 'SPOOL_FAILED'), `${warnings}`)
    }
  }
})

t.test(
  'with too many files open the disk takes no more for a while, and does not fail',
  async t => {
    const data = bytes(9_500)
    for (const code of ['EMFILE', 'ENFILE']) {
      // The first two files are the reserve and the journal, without which there is no spool.
      for (let nth = 2; nth < 10; nth++) {
        const disk = new LyingDisk()
        disk.faults.push({ on: 'open', times: 2, after: nth, error: error(code) })
        const { whole, warnings, spool } = await takeOver(disk, data)
        t.ok(whole.equals(data), `${code} ${nth}`)
        t.ok(warnings.length > 0 && warnings.every(code => code === 'SPOOL_FULL'), `${warnings}`)
        t.notOk(spool.hasFailed)
      }
    }
  },
)

t.test('nor does one in which the take stays, which is whole in the end', async t => {
  const data = bytes(9_500)
  for (const times of [1, 2, 3, 4]) {
    const disk = new LyingDisk()
    disk.faults.push({ on: 'open', times, after: 2, error: error('EMFILE') })
    const { warnings, spool } = await takeOver(disk, data, { keep: 'clip.mp4' })
    t.ok(warnings.length > 0 && warnings.every(code => code === 'SPOOL_FULL'), `${warnings}`)
    t.notOk(spool.hasFailed)
    t.ok(disk.files.get('/spool/asset/clip.mp4')?.equals(data), `after ${times}`)
  }
})

t.test(
  'what could not be opened for a while is on the disk when the upload is given up',
  async t => {
    const data = bytes(9_500)
    const disk = new LyingDisk()
    disk.faults.push({ on: 'open', times: 1, after: 3, error: error('EMFILE') })
    await takeOver(disk, data, { isOffline: true })
    const files = LyingDisk.of(disk.files)
    const found = await openUnfinished({ folder: '/spool/asset', disk: files, lock })
    t.match(found?.whole, { bytes: 9_500, parts: 10 })
  },
)

t.test('nor does one for what memory cannot hold', async t => {
  const disk = new LyingDisk()
  const memory = new BlockAccount(new BlockPool(2_048, 512))
  const warnings: string[] = []
  const spool = new Overflow({
    ...{ folder: '/spool/asset', disk, lock, memory, memoryLimit: 2_048 },
    ...{ maxBytes: Number.POSITIVE_INFINITY, keepFree: 0, syncEvery: 5 },
    onWarning: code => warnings.push(code),
    onWhole: () => {},
  })
  await spool.open({ assetId: 'asset', filetype: '', origin: '', partSize: 1_000, maxSize: 1e9 })
  disk.faults.push({ on: 'open', times: 1, after: 1, error: error('EMFILE') })
  for (let number = 1; ; number++) {
    const part = spool.begin(1_000)
    if (part.push(bytes(1_000), 0, 1_000) < 1_000) break
    part.cut({ number, size: 1_000, final: false, fileSize: undefined, md5: undefined })
  }
  await until(() => warnings.length > 0)
  await until(() => spool.bytesSpooled > 0)
  t.strictSame(warnings, ['SPOOL_FULL'])
  t.notOk(spool.hasFailed)
  await spool.close()
})

t.test('what is said of it has what to do, and never that anything is damaged', async t => {
  const cause = error('EMFILE')
  t.match(spoolWarning('SPOOL_FULL', cause).message, /can open no more files .*\(ulimit -n\)/)
  t.match(spoolWarning('SPOOL_FULL', error('ENOSPC')).message, /The disk of the spool is full \(EN/)
  const unread = (cause: Error) => new RealtimeUploadError('ERR_SPOOL_DAMAGED', 'so', { cause })
  t.match(keptIn('/spool/asset', unread(cause)).message, /resumeUploads goes on with it/)
  t.equal(keptIn('/spool/asset', unread(error('EIO'))).message, 'so')
})

t.test('a sync that failed is not tried again on its file', async t => {
  for (let nth = 3; nth < 12; nth++) {
    const disk = new LyingDisk()
    disk.faults.push({ on: 'sync', times: Infinity, after: nth, error: error('EIO') })
    const { whole, warnings } = await takeOver(disk, bytes(9_500))
    t.equal(whole.length, 9_500)
    t.strictSame(warnings, ['SPOOL_FAILED'])
    const failed = disk.failed.filter(({ t }) => t === 'sync').map(call => 'id' in call && call.id)
    t.equal(new Set(failed).size, failed.length)
  }
})

t.test('what went up from memory after a fault does not pass for a shorter recording', async t => {
  const data = bytes(9_500)
  for (let nth = 3; nth < 15; nth++) {
    const disk = new LyingDisk()
    disk.faults.push({ on: 'write', times: 1, after: nth, error: error('EIO') })
    let calls = 0
    const { warnings } = await takeOver(disk, data, {
      onSent: () => {
        calls = disk.calls.length
      },
    })
    if (warnings.length === 0) continue
    // Killed when all was sent.
    const opened = await openUnfinished({ folder: '/spool/asset', disk: disk.after(calls), lock })
      .then(async unfinished => unfinished?.end().then(() => unfinished.whole.bytes))
      .catch(error => error.code)
    t.ok([data.length, 'ERR_SPOOL_INCOMPLETE'].includes(opened), `${nth}: ${opened}`)
  }
})

t.test('a disk that is full takes what fits, and the rest goes through memory', async t => {
  const data = bytes(20_000)
  for (const capacity of [2 ** 20 + 700, 2 ** 20 + 3_333, 2 ** 20 + 9_000]) {
    const disk = new LyingDisk()
    disk.capacity = capacity
    const { whole, warnings } = await takeOver(disk, data)
    t.ok(whole.equals(data), `${capacity}`)
    t.ok(
      warnings.every(code => code === 'SPOOL_FULL' || code === 'SPOOL_FAILED'),
      `${warnings}`,
    )
  }
})

t.test('what had gone through memory goes to the disk when the upload is given up', async t => {
  const data = bytes(20_000)
  const disk = new LyingDisk()
  disk.capacity = 2 ** 20 + 4_000
  const spool = takeOver(disk, data, {
    isOffline: true,
    onWarning: () => {
      // Somebody makes room, but only once parts have gone through memory.
      setTimeout(() => {
        disk.capacity = Number.POSITIVE_INFINITY
      }, 50)
    },
  })
  await spool
  const found = (await openUnfinished({
    folder: '/spool/asset',
    disk: LyingDisk.of(disk.files),
    lock,
  })) as Unfinished
  t.match(found.whole, { bytes: 20_000, parts: 20 })
})

t.test('all memory comes back, whatever the disk does', async t => {
  for (const after of [3, 5, 8, 13]) {
    const disk = new LyingDisk()
    disk.faults.push({ on: 'write', times: Infinity, after, error: error('EIO') })
    const pool = new BlockPool(1e6, 512)
    await takeOver(disk, bytes(9_500), { memory: new BlockAccount(pool) })
    t.equal(pool.held, 0)
  }
})
