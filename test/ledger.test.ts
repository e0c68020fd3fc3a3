/**
 * What is remembered of a folder that is followed, once there is much of it.
 */
import t from 'tap'
import { lineOf } from '../lib/spool/journal.ts'
import { type FileFacts, type FileRecord, Ledger } from '../lib/spool/ledger.ts'
import { FATES, LyingDisk } from './support/lying-disk.ts'

const SEED = Number(process.env.SEED ?? Date.now() % 1e6)
const DIR = '/spool'
const PATH = `${DIR}/followed.journal`
const HERE = 'https://api.frame.io'
const ELSEWHERE = 'http://127.0.0.1:1'

/** The same numbers for the same seed. */
const randomOf = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 0x5deece66) + 11) >>> 0
    return state / 2 ** 32
  }
}

const openOn = (disk: LyingDisk, origin = HERE) =>
  Ledger.open({ dir: DIR, origin, disk, lock: async () => ({ release: async () => {} }) })

/** Files of which some share a name, some a number; and each state that one may be left in. */
const KINDS = ['creating', 'begun', 'done', 'failed'] as const
const fileOf = (name: number, ino: number, mtime = 1): FileFacts => ({
  path: `/in/${name}-${'x'.repeat(2_000)}.mov`,
  dev: '1',
  ino: String(ino),
  size: 10,
  mtime: String(mtime),
})

/** More than a MiB, of which few count. */
const longJournal = (seed: number): Buffer => {
  const random = randomOf(seed)
  const some = (count: number) => Math.floor(random() * count)
  const lines = [lineOf({ t: 'open', version: 1 }, 0)]
  let at = lines[0]?.length ?? 0
  for (let n = 0; n < 800; n++) {
    const record = {
      ...fileOf(some(40), some(60), some(2)),
      t: KINDS[some(KINDS.length)],
      assetId: `asset-${n}`,
      origin: random() < 0.8 ? HERE : ELSEWHERE,
    }
    // As one that was written line by line: each says that those before it were durable.
    lines.push(lineOf(record, at))
    at += lines.at(-1)?.length ?? 0
  }
  return Buffer.from(lines.join(''))
}

/** All that somebody may ask. */
const answersOf = async (disk: LyingDisk): Promise<string> => {
  const answers: unknown[] = []
  for (const origin of [HERE, ELSEWHERE]) {
    const ledger = await openOn(disk, origin)
    const byAsset = (one: FileRecord, other: FileRecord) =>
      `${one.assetId}` < `${other.assetId}` ? -1 : 1
    answers.push([...ledger.records].sort(byAsset))
    for (let name = 0; name < 41; name++) {
      for (let ino = 0; ino < 61; ino++) {
        for (const mtime of [0, 1]) answers.push(ledger.of(fileOf(name, ino, mtime))?.assetId)
      }
    }
    await ledger.close()
  }
  return JSON.stringify(answers)
}

const sizeOn = (disk: LyingDisk): number => disk.files.get(PATH)?.length ?? 0

t.test(`a long journal is written anew, and says the same (SEED=${SEED})`, async t => {
  const text = longJournal(SEED)
  const disk = LyingDisk.of(new Map([[PATH, text]]))
  disk.capacity = text.length + 1_000
  const answers = await answersOf(disk)
  t.ok(disk.files.get(PATH)?.equals(text), 'where the disk is full it stays as it is')
  t.strictSame([...disk.files.keys()], [PATH])

  disk.capacity = Number.POSITIVE_INFINITY
  t.equal(await answersOf(disk), answers)
  t.ok(sizeOn(disk) < text.length / 2, `${sizeOn(disk)} of ${text.length} bytes`)
  t.strictSame([...disk.files.keys()], [PATH])
  const renames = () => disk.calls.filter(({ t }) => t === 'rename').length
  t.equal(await answersOf(disk), answers)
  t.equal(renames(), 1, 'and what is short is left alone')

  const ledger = await openOn(disk)
  await ledger.add({ ...fileOf(99, 99), t: 'done', assetId: 'new' })
  await ledger.close()
  t.match((await openOn(disk)).of(fileOf(99, 99)), { t: 'done', assetId: 'new' })
})

t.test(`a power cut at any moment forgets nothing (SEED=${SEED})`, async t => {
  const text = longJournal(SEED)
  const full = LyingDisk.of(new Map([[PATH, text]]))
  full.capacity = text.length
  const answers = await answersOf(full)
  const disk = LyingDisk.of(new Map([[PATH, text]]))
  const ledger = await openOn(disk)
  const opened = disk.calls.length
  await ledger.add({ ...fileOf(99, 99), t: 'done', assetId: 'new' })
  const random = randomOf(SEED)
  t.ok(disk.calls.some(({ t }) => t === 'rename'))
  for (let calls = 0; calls <= disk.calls.length; calls++) {
    for (const fate of FATES) {
      const files = disk.crash(calls, fate, random)
      const after = LyingDisk.of(files)
      // It was not known before: what is asked of all others is the same.
      if (calls <= opened) t.equal(await answersOf(after), answers, `${fate} after ${calls}`)
      else if (calls === disk.calls.length)
        t.match((await openOn(after)).of(fileOf(99, 99)), { assetId: 'new' }, fate)
      t.notOk(after.files.has(`${PATH}.new`), 'what is left of it is removed')
    }
  }
})

t.test('one that cannot be put into its place keeps nobody from going on', async t => {
  const text = longJournal(SEED)
  const full = LyingDisk.of(new Map([[PATH, text]]))
  full.capacity = text.length
  const answers = await answersOf(full)
  /** A network drive may do it, and say that it did not. */
  const refusing = (isDone: boolean) => {
    const disk = LyingDisk.of(new Map([[PATH, text]]))
    const rename = disk.rename.bind(disk)
    disk.rename = async (from, to) => {
      if (isDone) await rename(from, to)
      throw Object.assign(new Error('EPERM: of the test'), { code: 'EPERM' })
    }
    return disk
  }
  for (const isDone of [false, true]) {
    const disk = refusing(isDone)
    const ledger = await openOn(disk)
    await ledger.add({ ...fileOf(99, 99), t: 'done', assetId: 'new' })
    await ledger.close()
    t.equal(sizeOn(disk) < text.length, isDone)
    t.match((await openOn(disk)).of(fileOf(99, 99)), { assetId: 'new' })
    t.strictSame([...disk.files.keys()], [PATH])
    t.equal(await answersOf(refusing(isDone)), answers)
  }
})

t.test('what rots in one that was written anew is told of', async t => {
  const disk = LyingDisk.of(new Map([[PATH, longJournal(SEED)]]))
  await (await openOn(disk)).close()
  const text = Buffer.from(disk.files.get(PATH) as Buffer)
  text.writeUInt8(text.readUInt8(text.length >> 1) ^ 1, text.length >> 1)
  const rotten = LyingDisk.of(new Map([[PATH, text]]))
  await t.rejects(openOn(rotten), { code: 'ERR_SPOOL_DAMAGED', path: PATH })
})
