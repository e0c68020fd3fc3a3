/**
 * After an outage: parts wait on the disk, the network takes one after the other, and the source goes on.
 */
import t from 'tap'
import type { DiskFile } from '../lib/spool/disk.ts'
import type { Part } from '../lib/spool/home.ts'
import { Spool } from '../lib/spool/spool.ts'
import { BlockAccount, BlockPool } from '../lib/upload/blocks.ts'
import { Splitter } from '../lib/upload/splitter.ts'
import { LyingDisk } from './support/lying-disk.ts'
import { until } from './support/sandboxes.ts'
import { within } from './support/servers.ts'

const PART = 1_000
const MEMORY = 16 * 2 ** 10
const CHUNK = Buffer.alloc(PART / 2, 7)

/** One whose syncs take as long as it is told. */
class HesitantDisk extends LyingDisk {
  goOn = () => {}
  #held = Promise.resolve()

  hesitate(): void {
    this.#held = new Promise(resolve => {
      this.goOn = resolve
    })
  }

  override async open(path: string): Promise<DiskFile> {
    const file = await super.open(path)
    const sync = async () => {
      await this.#held
      await file.sync()
    }
    return { ...file, sync }
  }
}

t.test(
  'a disk that hesitates while others wait on it takes all, and is skipped once none does',
  async t => {
    const disk = new HesitantDisk()
    const memory = new BlockAccount(new BlockPool(MEMORY, 512))
    const warnings: string[] = []
    const spool = new Spool({
      ...{ folder: '/spool/asset', disk, memory, memoryLimit: MEMORY },
      ...{ maxBytes: Number.POSITIVE_INFINITY, keepFree: 0, syncEvery: 5 },
      lock: async () => ({ release: async () => {} }),
      onWarning: code => warnings.push(code),
      onWhole: () => {},
    })
    const upload = { assetId: 'asset', filetype: 'video/mp4', origin: 'https://api.frame.io' }
    await spool.open({ ...upload, partSize: PART, maxSize: 1e9 })
    const waiting: Part[] = []
    const splitter = new Splitter({
      ...{ plan: () => PART, home: spool, start: { parts: 0, bytes: 0 }, md5: false },
      onPart: part => waiting.push(part),
      onSize: () => {},
    })
    let stored = 0
    const sendOne = async () => {
      const part = waiting.shift()
      await part?.ready
      for await (const _ of part?.body() ?? []) await new Promise(setImmediate)
      part?.rest?.()
      part?.release(true)
      stored++
    }
    /** Chunks that there is room for at once. */
    const pour = () => {
      let taken = 0
      while (splitter.push(CHUNK, 0, CHUNK.length) === CHUNK.length) taken++
      return taken
    }
    const isDurable = () => until(() => spool.bytesDurable === splitter.bytes)

    // An outage that memory is too small for.
    for (let times = 0; times < 5; times++) {
      pour()
      await within(30_000, isDurable())
    }
    t.ok(splitter.bytes > 3 * MEMORY)
    // The network is back, and slow.
    let isOver = false
    const network = (async () => {
      while (!isOver) {
        await sendOne()
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    })()
    await until(() => stored > 0)
    disk.hesitate()
    pour()
    disk.goOn()
    await within(30_000, isDurable())
    const chunks = pour()
    t.ok(chunks * CHUNK.length > MEMORY / 2, `${chunks} chunks at once`)
    t.strictSame(warnings, [])

    // Nothing waits any more: a disk that is slower than both is skipped again. Where this machine pauses for
    // a second the network counts as one that stands still.
    for (let round = 0; warnings.length === 0 && round < 20; round++) {
      disk.goOn()
      await within(30_000, isDurable())
      // The last of them waits for a byte of the next.
      while (waiting.length > 1) await sendOne()
      disk.hesitate()
      pour()
    }
    t.strictSame(warnings, ['SPOOL_TOO_SLOW'])
    disk.goOn()

    // What there was no room for is still to come.
    while (splitter.push(CHUNK, 0, 1) === 0) await sendOne()
    splitter.end()
    const ended = spool.end(splitter.parts, splitter.bytes)
    isOver = true
    await network
    while (waiting.length > 0) await sendOne()
    await ended
    await spool.finish()
  },
)
