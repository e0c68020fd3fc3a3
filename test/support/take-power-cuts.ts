/**
 * Recordings to V4 on a disk that forgets: the power is cut after every call to it, in every manner, and what is
 * found again is held against what was promised.
 */
import { Journal } from '../../lib/spool/journal.ts'
import { type Piece, PieceFiles } from '../../lib/v4/piece-files.ts'
import { type TakeEntry, takeEntry } from '../../lib/v4/take-journal.ts'
import { ReopenedTake } from '../../lib/v4/take-recover.ts'
import { Room } from '../../lib/v4/take-room.ts'
import { FATES, LyingDisk, type Random } from './lying-disk.ts'
import { randomOf } from './power-cuts.ts'

const FOLDER = '/spool/A001-20261201-150000-1f3a'
const lock = async () => ({ release: async () => {} })

const between = (random: Random, low: number, high: number) =>
  low + Math.floor(random() * (high - low + 1))

/** What was promised when a call to the disk was made. */
interface Moment {
  readonly durable: number
  /** Pieces that were told of. */
  readonly whole: number
}

interface Recorded {
  readonly disk: LyingDisk
  readonly pieces: readonly Buffer[]
  /** By the number of calls before. */
  readonly moments: readonly (Moment | undefined)[]
}

const record = async (random: Random): Promise<Recorded> => {
  const disk = new LyingDisk()
  const whole: Piece[] = []
  const moments: (Moment | undefined)[] = []
  const journal = new Journal<TakeEntry>(await disk.open(`${FOLDER}/journal`), 0, async () => false)
  const opening = { origin: 'https://api.frame.io', accountId: 'a', folderId: 'f', name: 'A001.ts' }
  journal.add(takeEntry(opening))
  await journal.sync()
  const room = new Room({
    ...{ disk, folder: FOLDER, maxBytes: Infinity, keepFree: 0 },
    ...{ isEmptying: () => false, failure: () => undefined, onFull: () => {}, onHold: () => {} },
    signal: new AbortController().signal,
  })
  const files: PieceFiles = new PieceFiles({
    ...{ disk, folder: FOLDER, journal, room, maxSize: Infinity },
    syncEvery: between(random, 1, 4),
    markEvery: between(random, 1, 3_000),
    namesOf: n => ({ name: `A001_00${n}.ts`, file: `A001_00${n}.ts` }),
    onPiece: piece => {
      whole.push(piece)
      note()
    },
    onMove: () => note(),
    onFailure: error => {
      throw error
    },
  })
  /** From the call on that comes next. */
  const note = () => {
    moments[disk.calls.length] = { durable: files.bytes.durable, whole: whole.length }
  }
  const pieces: Buffer[] = []
  for (let count = between(random, 1, 3); count > 0; count--) {
    const data = Buffer.from(
      Array.from({ length: between(random, 1, 5_000) }, () => between(random, 0, 255)),
    )
    pieces.push(data)
    for (let at = 0; at < data.length; ) {
      const size = between(random, 1, 1_500)
      await files.append([data.subarray(at, at + size)])
      at += size
      if (random() < 0.4) await new Promise(resolve => setTimeout(resolve, between(random, 0, 5)))
    }
    // Some are cut off in their last piece.
    if (count > 1 || random() < 0.5) await files.cut()
  }
  await files.close()
  return { disk, pieces, moments }
}

/** What does not hold; undefined where all does. */
const faultOf = async (
  disk: LyingDisk,
  pieces: readonly Buffer[],
  { durable, whole }: Moment,
): Promise<string | undefined> => {
  const reopened = await ReopenedTake.open({ folder: FOLDER, disk, lock })
  const found = (await reopened?.recover()) ?? []
  let sum = 0
  for (const [index, one] of found.entries()) {
    if (one.t === 'lost') return `piece ${index + 1} is lost: ${one.error.message}`
    if (one.t !== 'whole') continue
    const isOther = await one.confirm(undefined).catch((error: Error) => error)
    if (isOther) return isOther.message
    const bytes = disk.files.get(one.piece.path)
    const wanted = pieces[index] as Buffer
    if (bytes?.length !== one.piece.size) return `piece ${index + 1} has another size`
    if (!wanted.subarray(0, bytes.length).equals(bytes)) return `piece ${index + 1} was invented`
    const mustBeWhole = index < whole || found[index + 1]?.t === 'whole'
    if (mustBeWhole && bytes.length < wanted.length) return `piece ${index + 1} lacks its end`
    sum += bytes.length
  }
  return sum < durable ? `${durable} bytes were durable, and ${sum} are there` : undefined
}

/** Records takes from this seed on; the power goes after every call, in every manner, and while that is mended. */
export const cutPowerOfTakes = async (
  takes: number,
  seed: number,
): Promise<{ readonly cuts: number; readonly violation: string | undefined }> => {
  let cuts = 0
  for (let take = 0; take < takes; take++) {
    const random = randomOf(seed + take)
    const { disk, pieces, moments } = await record(random)
    let moment: Moment = { durable: 0, whole: 0 }
    for (let calls = 0; calls <= disk.calls.length; calls++) {
      moment = moments[calls] ?? moment
      for (const fate of FATES) {
        cuts++
        const left = LyingDisk.of(disk.crash(calls, fate, random))
        let fault = await faultOf(left, pieces, moment)
        let isTwice = false
        if (fault === undefined && between(random, 0, 2) === 0) {
          isTwice = true
          // Whoever mended it was cut off as well.
          const half = LyingDisk.of(left.crash(between(random, 0, left.calls.length), fate, random))
          fault = await faultOf(half, pieces, moment)
        }
        const where = `take ${seed + take}, after call ${calls}, ${fate}${isTwice ? ', twice' : ''}`
        if (fault !== undefined) return { cuts, violation: `${where}: ${fault}` }
      }
    }
  }
  return { cuts, violation: undefined }
}
