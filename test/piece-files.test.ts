/**
 * A recording on a disk that fails.
 */
import t from 'tap'
import { Journal } from '../lib/spool/journal.ts'
import { type Piece, PieceFiles } from '../lib/v4/piece-files.ts'
import type { TakeEntry } from '../lib/v4/take-journal.ts'
import { Room } from '../lib/v4/take-room.ts'
import { LyingDisk } from './support/lying-disk.ts'
import { bytes, until } from './support/sandboxes.ts'
import { failureOf } from './support/servers.ts'

const FOLDER = '/spool/take'

const start = async () => {
  const disk = new LyingDisk()
  const journal = new Journal<TakeEntry>(await disk.open(`${FOLDER}/journal`), 0, async () => false)
  const pieces: Piece[] = []
  const holds: boolean[] = []
  const causes: string[] = []
  const failures: Error[] = []
  const moves: PieceFiles['bytes'][] = []
  const room = new Room({
    ...{ disk, folder: FOLDER, maxBytes: Infinity, keepFree: 0 },
    isEmptying: () => true,
    failure: () => undefined,
    onFull: cause => void causes.push(cause),
    onHold: isHeld => void holds.push(isHeld),
    signal: new AbortController().signal,
  })
  const files: PieceFiles = new PieceFiles({
    ...{ disk, folder: FOLDER, journal, room, maxSize: Infinity, markEvery: 1_000, syncEvery: 10 },
    namesOf: n => ({ name: `${n}.ts`, file: `${n}.ts` }),
    onPiece: piece => void pieces.push(piece),
    onMove: () => void moves.push(files.bytes),
    onFailure: error => void failures.push(error),
  })
  return { disk, room, files, pieces, holds, causes, failures, moves }
}

t.test('a write that finds no room is taken back, and made again once there is some', async t => {
  const { disk, room, files, pieces, holds, causes } = await start()
  const data = bytes(20_000)
  await files.append([data.subarray(0, 10_000)])
  // What a volume says that it has is not what a write finds: there are quotas, and others who write.
  disk.faults.push({
    ...{ on: 'write' as const, after: 0, times: 2 },
    error: Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }),
  })
  const appended = files.append([data.subarray(10_000)])
  await until(() => holds.length > 0)
  room.freed(0)
  await appended
  await files.cut()
  t.ok(disk.files.get(pieces[0]?.path ?? '')?.equals(data))
  t.strictSame(holds, [true, false])
  t.strictSame(causes, ['ENOSPC'], 'said once, however often it is tried')
})

t.test(
  'with too many files open the source is held, where a piece begins and where it ends',
  async t => {
    const { disk, room, files, pieces, holds } = await start()
    const error = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
    const held = async (count: number) => {
      await until(() => holds.length === count)
      room.freed(0)
    }
    disk.faults.push({ on: 'open', after: 0, times: 1, error })
    const appended = files.append([bytes(10_000)])
    await held(1)
    await appended
    // Its name is durable: what fails next is the folder alone.
    await until(() => files.bytes.durable === 10_000)
    disk.faults.push({ on: 'syncFolder', after: 0, times: 1, error })
    const cut = files.cut()
    await held(3)
    await cut
    t.match(pieces, [{ size: 10_000 }])
    t.strictSame(holds, [true, false, true])
    await files.append([bytes(10)])
    t.strictSame(holds, [true, false, true, false])
  },
)

t.test('a volume that says nothing of its room is an error of the spool’s', async t => {
  const { disk, files } = await start()
  disk.free = () => Promise.reject(new Error('EIO: input/output error'))
  t.match(await failureOf(files.append([bytes(100)])), {
    code: 'ERR_SPOOL_DAMAGED',
    message: /EIO/,
  })
})

t.test('a sync that failed is never repeated, and ends it', async t => {
  const { disk, files, failures } = await start()
  disk.faults.push({
    ...{ on: 'sync' as const, after: 0, times: 1 },
    error: Object.assign(new Error('EIO: input/output error'), { code: 'EIO' }),
  })
  await files.append([bytes(100)])
  await until(() => failures.length > 0)
  t.match(failures[0], { code: 'ERR_SPOOL_DAMAGED', message: /EIO.*Nothing was deleted/ })
  t.equal(files.bytes.durable, 0)
  t.equal(await failureOf(files.append([bytes(100)])), failures[0])
  await files.close()
  const { calls } = disk
  t.equal(calls.filter(({ t }) => t === 'sync').length, 0)
})

t.test('what is written and durable never goes back, also where a piece ends', async t => {
  const { files, moves } = await start()
  for (let count = 0; count < 3; count++) {
    await files.append([bytes(3_000)])
    await files.cut()
  }
  t.strictSame(files.bytes, { written: 9_000, durable: 9_000 })
  for (const key of ['written', 'durable'] as const) {
    const figures = moves.map(move => move[key])
    t.strictSame(
      figures,
      figures.toSorted((one, other) => one - other),
      key,
    )
  }
})
