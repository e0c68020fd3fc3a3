/**
 * Power cuts: a recording of random shape goes into a spool on a disk that forgets, and after any call
 * to that disk the power goes. What must hold of what is recovered is said at each check.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { KeptFile, Part } from '../../lib/spool/home.ts'
import { Spool } from '../../lib/spool/spool.ts'
import { BlockAccount, BlockPool } from '../../lib/upload/blocks.ts'
import { Splitter } from '../../lib/upload/splitter.ts'
import { FATES, type Fate, LyingDisk, type Random } from './lying-disk.ts'
import { openUnfinished } from './unfinished.ts'

const FOLDER = '/spool/asset'
const KEPT = 'take.mp4'
const lock = async () => ({ release: async () => {} })

/** Mulberry32: the same numbers for the same seed. */
export const randomOf = (seed: number): Random => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const between = (random: Random, low: number, high: number) =>
  low + Math.floor(random() * (high - low + 1))

/** What was known when a call to the disk was made. */
interface Moment {
  readonly promised: number
  readonly registered: readonly Part[]
  readonly stored: readonly Part[]
  /** Parts went through memory alone, for the disk was too slow or full: what is behind one may be lost. */
  readonly isSuspended: boolean
}

interface Take {
  readonly data: Buffer
  readonly disk: LyingDisk
  readonly moments: readonly Moment[]
  readonly partSize: number
  /** Is it to stay, as a file? */
  readonly isKept: boolean
}

/** Records a take, until its end or not, on a disk that then is as it is. */
const record = async (random: Random): Promise<Take> => {
  const data = Buffer.from(
    Array.from({ length: between(random, 1, 30_000) }, () => between(random, 0, 255)),
  )
  const disk = new LyingDisk()
  const isSmall = random() < 0.3
  if (isSmall) disk.capacity = 2 ** 20 + between(random, 0, 20_000)
  const isKept = random() < 0.5
  const moments: Moment[] = []
  const registered: Part[] = []
  const stored: Part[] = []
  let isSuspended = false
  let isOver = false
  /** Parts that are being sent. */
  const under = new Set<Part>()
  const blockSize = [256, 512, 1_000][between(random, 0, 2)] as number
  const partSize = between(random, 300, 6_000)
  const memoryLimit = between(random, 1, 20_000)
  const memory = new BlockAccount(new BlockPool(memoryLimit, blockSize))
  const spool: Spool = new Spool({
    folder: FOLDER,
    disk,
    lock,
    memory,
    memoryLimit,
    maxBytes: Number.POSITIVE_INFINITY,
    keepFree: 0,
    syncEvery: between(random, 1, 20),
    onWarning: code => {
      if (code !== 'SPOOL_TOO_SLOW' && !(isSmall && code === 'SPOOL_FULL'))
        throw new Error(`No fault was injected, and yet there is ${code}`)
      isSuspended = true
    },
    onWhole: () => {},
  })
  const note = () => {
    while (moments.length <= disk.calls.length) {
      moments.push({
        promised: spool.bytesDurable,
        registered: [...registered],
        stored: [...stored],
        isSuspended,
      })
    }
  }
  // Before each call what is known is what was known after the one before it.
  const { push } = disk.calls
  disk.calls.push = (...calls) => {
    note()
    return push.apply(disk.calls, calls)
  }
  await spool.open({
    assetId: 'asset',
    filetype: 'video/mp4',
    origin: 'https://api.frame.io',
    partSize,
    maxSize: 2 ** 40,
    keep: isKept ? KEPT : undefined,
  })
  const isOffline = random() < 0.3
  const sending = new Set<Promise<void>>()
  const send = async (part: Part) => {
    await part.ready
    registered.push(part)
    for (let turns = between(random, 0, 40); turns > 0; turns--) await turn()
    if (isOffline || isOver) return
    under.add(part)
    for await (const chunk of part.body()) void chunk
    part.rest?.()
    stored.push(part)
    part.release(true)
    under.delete(part)
  }
  const splitter: Splitter = new Splitter({
    plan: () => partSize,
    home: spool,
    start: { parts: 0, bytes: 0 },
    onPart: part => sending.add(send(part)),
    onSize: () => {},
    md5: false,
  })
  // Nothing makes room on a disk that is full, in an outage: the source is held.
  let held = 0
  for (let at = 0; at < data.length && held < 1_000; ) {
    const end = Math.min(data.length, at + between(random, 1, 3_000))
    const chunk = Buffer.from(data.subarray(at, end))
    const taken = splitter.push(chunk, 0, chunk.length)
    at += taken
    held = taken === 0 ? held + 1 : 0
    for (let turns = between(random, 0, 6); turns > 0; turns--) await turn()
  }
  const how = random()
  if (how < 0.7 && held < 1_000) {
    splitter.end()
    await spool.end(splitter.parts, splitter.bytes)
    if (!isOffline) await Promise.all(sending)
    note()
    if (!isOffline && random() < 0.8) await spool.keep(async () => {})
    if (!isOffline && how < 0.5) await spool.finish()
    else await spool.close()
  } else {
    splitter.discard()
    // As a transfer does: nothing is in flight any more.
    isOver = true
    while (under.size > 0) await turn()
    await spool.close()
  }
  note()
  return { data, disk, moments, partSize, isKept }
}

/**
 * The disk when it is resumed for the last time: after the cut, or after a kill and resumes that were
 * themselves killed, or cut off by a power cut, after any of their calls. `isEnded`: one may have taken
 * what was there for the whole.
 */
const withResumes = async (
  taken: LyingDisk,
  calls: number,
  fate: Fate,
  random: Random,
): Promise<{ disk: LyingDisk; isEnded: boolean }> => {
  let isEnded = false
  const end = (disk: LyingDisk, calls: number, isCut: boolean) =>
    isCut ? LyingDisk.of(disk.crash(calls, fate, random)) : disk.after(calls)
  let disk = end(taken, calls, random() < 0.7)
  for (let times = between(random, 0, 2); times > 0; times--) {
    const before = disk.calls.length
    const resumed = await openUnfinished({ folder: FOLDER, disk, lock })
    if (resumed && random() < 0.5) {
      isEnded = true
      await resumed.end()
    }
    if (resumed?.isDone) await resumed.finish()
    disk = end(disk, between(random, before, disk.calls.length), random() < 0.5)
  }
  return { disk, isEnded }
}

/** What lies on a disk, put together with what S3 has. @returns what does not hold */
const check = async (
  { data, partSize, isKept }: Take,
  { disk, isEnded }: Awaited<ReturnType<typeof withResumes>>,
  { promised, registered, stored, isSuspended }: Moment,
): Promise<string | undefined> => {
  const found = await openUnfinished({ folder: FOLDER, disk, lock })
  const atFrameio = (n: number) =>
    stored.some(({ number }) => number === n)
      ? data.subarray((n - 1) * partSize, n * partSize)
      : undefined
  const isStored = stored.reduce((sum, { size }) => sum + size, 0) === data.length
  const kept = (file: KeptFile | undefined, length: number) =>
    isKept ? faultIn(disk, file, data.subarray(0, length), isSuspended) : undefined
  if (!found && isStored) return kept(isSuspended ? undefined : WHOLE, data.length)
  if (!found || found.whole.bytes === 0) {
    return promised === 0 ? undefined : `${promised} bytes were durable, and none is left`
  }
  if (found.isDone) {
    return isStored ? kept(await found.finish(), data.length) : 'done, and not all is stored'
  }
  const hadEnded = found.hadEnded
  await found.end()
  const { bytes, parts } = found.whole
  const sent = new Map<number, Buffer>()
  let damage: Error | undefined
  let last: Part | undefined
  for await (const part of found.parts(error => {
    damage = error
  })) {
    const chunks: Uint8Array[] = []
    for await (const chunk of part.body()) chunks.push(chunk)
    sent.set(part.number, Buffer.concat(chunks))
    part.release(true)
    last = part
  }
  if (damage) return `damage where there is none: ${damage.message}`
  const whole = Buffer.concat(
    Array.from(
      { length: parts },
      (_, index) => sent.get(index + 1) ?? atFrameio(index + 1) ?? Buffer.alloc(0),
    ),
  )
  if (whole.length !== bytes) return `${bytes} bytes are told of, and ${whole.length} are there`
  if (!whole.equals(data.subarray(0, bytes))) return 'bytes that were never written'
  // Behind a part that is in memory alone nothing is promised, though it lies on the disk.
  if (bytes < promised && !isSuspended) {
    return `${promised} bytes were durable, and ${bytes} are left`
  }
  if (hadEnded && !isEnded && bytes !== data.length) return 'an end that was none'
  for (const { number, final, size } of registered) {
    if (final && !hadEnded) return 'the final part was registered before the end was durable'
    // In memory alone there was more: that such a part turns final is tried, and may be refused.
    if (!final && number === parts && !isSuspended)
      return `part ${number} was registered as not final, and is the last`
    if (sent.has(number) && sent.get(number)?.length !== size)
      return `part ${number} has another size now`
  }
  if (!last?.final && !stored.some(({ final }) => final)) return 'no part is the final one'
  return kept(await found.finish(), bytes)
}

/** What a take that stays is called once it is over, where nothing of it skipped the disk. */
const WHOLE: KeptFile = { path: `${FOLDER}/${KEPT}`, missing: [] }

/** Of a take that is over, and stays: is it what was recorded, and is nothing else left? */
const faultIn = (
  disk: LyingDisk,
  file: KeptFile | undefined,
  data: Buffer,
  mayLack: boolean,
): string | undefined => {
  const [path, ...others] = disk.files.keys()
  if (path === undefined || others.length > 0) return `there is ${path} and ${others}`
  if (!file) return mayLack ? undefined : `${path} is not told of`
  if (path !== file.path) return `${path} is there, and not ${file.path}`
  if (!mayLack && path !== WHOLE.path) return `${path} lacks bytes on a disk that took all`
  if (file.missing.length > 0 !== path.endsWith('.incomplete')) return `${path} lies`
  const bytes = Buffer.from(disk.files.get(path) as Buffer)
  for (const { from, to } of file.missing) data.copy(bytes, from, from, to)
  return bytes.equals(data) ? undefined : `${path} is not what was recorded`
}

export interface PowerCuts {
  readonly takes: number
  readonly cuts: number
  /** The first that did not hold, with how to see it again. */
  readonly violation: string | undefined
}

/** Records takes from this seed on, and cuts the power after every call of each, in every manner. */
export const cutPower = async (takes: number, seed: number, only?: string): Promise<PowerCuts> => {
  let cuts = 0
  for (let index = 0; index < takes; index++) {
    const take = await record(randomOf(seed + index))
    for (let calls = 0; calls <= take.disk.calls.length; calls++) {
      for (const fate of FATES) {
        const at = `SEED=${seed + index} after ${calls} of ${take.disk.calls.length} calls, ${fate}`
        if (only !== undefined && at !== only) continue
        const random = randomOf(seed + index + calls)
        cuts++
        const moment = take.moments[calls] as Moment
        const violation = await withResumes(take.disk, calls, fate, random)
          .then(resumed => check(take, resumed, moment))
          .catch(error =>
            moment.isSuspended && error.code === 'ERR_SPOOL_INCOMPLETE'
              ? undefined
              : String(error.stack),
          )
        if (violation) return { takes: index + 1, cuts, violation: `${at}: ${violation}` }
      }
    }
  }
  return { takes, cuts, violation: undefined }
}
