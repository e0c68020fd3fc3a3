/**
 * What is seen of a growing file where looking at it is not simple.
 */
import { mkdtemp, open, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { GrownFile, unreadable } from '../lib/follow/grown-file.ts'
import { type ResolvedFollowOptions, resolveFollow } from '../lib/follow/options.ts'
import { STILL_FOR, Watch } from '../lib/follow/watch.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

const setUp = async (t: Teardown) => {
  const dir = await mkdtemp(join(tmpdir(), 'watch-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const path = join(dir, 'A001.wav')
  const writer = await open(path, 'w')
  t.teardown(() => writer.close())
  const file = await GrownFile.open(path, undefined, new AbortController().signal)
  t.teardown(() => file.close())
  const ending = new AbortController()
  const follow = resolveFollow('follow', { ended: ending.signal }) as ResolvedFollowOptions
  return { path, writer, file, ending, watch: await Watch.of(file, follow, undefined) }
}

t.test('a file that is out of reach for a while is waited for', async t => {
  const { path, writer, file, watch, ending } = await setUp(t)
  await writer.write('abc')
  t.match(await watch.look(), { state: { size: 3 }, written: 3, reason: undefined })
  const { state } = file
  file.state = () => Promise.reject(unreadable(path, new Error('EIO')))
  t.equal(await watch.look(), undefined)
  file.state = state
  t.match(await watch.look(), { state: { size: 3 } })
  file.state = () => Promise.reject(unreadable(path, new Error('EIO')))
  ending.abort()
  await t.rejects(watch.look(), { code: 'ERR_SOURCE_FAILED', path }, 'but not by whoever ends it')
})

t.test('a recording that ends in silence keeps it, for its size grows', async t => {
  const { writer, watch, ending } = await setUp(t)
  await writer.write(Buffer.alloc(5_000, 1), 0, 5_000, 0)
  await watch.look()
  await writer.write(Buffer.alloc(5_000), 0, 5_000, 5_000)
  await watch.look()
  ending.abort()
  t.match(await watch.look(), {
    state: { size: 10_000 },
    written: 5_000,
    isMadeLarge: false,
    reason: 'told',
  })
})

t.test('a file that was made large beforehand is written while its size stands still', async t => {
  const { writer, watch, ending } = await setUp(t)
  // With bytes, as fallocate does it: the disk has them, so only their zeros tell.
  await writer.write(Buffer.alloc(50_000), 0, 50_000, 0)
  await writer.write(Buffer.alloc(5_000, 1), 0, 5_000, 0)
  await watch.look()
  await wait(STILL_FOR)
  await writer.write(Buffer.alloc(5_000, 1), 0, 5_000, 5_000)
  await watch.look()
  ending.abort()
  t.match(await watch.look(), {
    state: { size: 50_000 },
    written: 10_000,
    isMadeLarge: true,
    reason: 'told',
  })
})

/** A WAV whose head is right. */
const wav = (sound: number): Buffer => {
  const file = Buffer.alloc(44 + sound, 1)
  file.write('RIFF....WAVEfmt ', 0, 'latin1')
  file.writeUInt32LE(36 + sound, 4)
  file.writeUInt32LE(16, 16)
  file.write('data', 36, 'latin1')
  file.writeUInt32LE(sound, 40)
  return file
}

/** So many ms pass at once. */
const clock = (t: Teardown) => {
  const { now } = performance
  let passed = 0
  performance.now = () => now.call(performance) + passed
  t.teardown(() => {
    performance.now = now
  })
  return (ms: number) => {
    passed += ms
  }
}

t.test('a head that is right once is believed, and one that is kept right is not', async t => {
  const pass = clock(t)
  const { path, writer, watch } = await setUp(t)
  await writer.close() // Nobody is seen, as on other systems than Linux.
  const open = wav(1_000)
  open.writeUInt32LE(0, 4)
  await writeFile(path, open)
  t.match(await watch.look(), { reason: undefined, isUnfinished: true })
  await writeFile(path, wav(1_000))
  t.match(await watch.look(), { reason: undefined })
  pass(5_000)
  t.match(await watch.look(), { reason: 'idle' })

  await writeFile(path, wav(2_000))
  t.match(await watch.look(), { reason: undefined })
  pass(5_000)
  t.match(await watch.look(), { reason: undefined }, 'a pause of the recorder')
  pass(60_000)
  t.match(await watch.look(), { reason: 'idle' })
})

t.test('a clock that jumped does not end a file at the first look', async t => {
  const { path } = await setUp(t)
  const other = `${path}.old`
  await writeFile(other, 'abc')
  await utimes(other, 1, 1)
  const file = await GrownFile.open(other, undefined, new AbortController().signal)
  t.teardown(() => file.close())
  const follow = resolveFollow('follow', {}) as ResolvedFollowOptions
  const watch = await Watch.of(file, follow, undefined)
  t.match(await watch.look(), { reason: undefined })
})
