/**
 * Films of ffmpeg's, in all the ways in which it writes them into a pipe, cut into pieces of ten
 * seconds: each plays by itself, and together they are the film.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  asFiles,
  byChance,
  type Coded,
  cutUp,
  decoded,
  interleaved,
  makeMaster,
  packetsOf,
  piped,
  written,
} from './support/pieces.ts'
import { randomOf } from './support/power-cuts.ts'
import { chunked } from './support/sandboxes.ts'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
const folder = t.testdir()
const master = await makeMaster(folder)

const mp4 = (flags: string, ...args: string[]) => ['-f', 'mp4', '-movflags', flags, ...args]
const KEYED = 'frag_keyframe+empty_moov'

/** Most seconds between two times that are meant to be the same: a tick of any scale. */
const TICK = 0.001

const FILMS: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['base at its moof.mp4', mp4(`${KEYED}+default_base_moof`)],
  ['absolute places.mp4', mp4(KEYED)],
  ['absolute places.mov', ['-f', 'mov', '-movflags', KEYED]],
  ['samples in the head.mp4', mp4('frag_keyframe')],
  ['with an edit list.mp4', mp4('frag_keyframe+delay_moov')],
  ['a fragment a track.mp4', mp4(`${KEYED}+separate_moof`)],
  ['with an index a fragment.mp4', mp4(`${KEYED}+dash`)],
  ['fragments that begin anywhere.mp4', mp4('empty_moov', '-frag_duration', '250000')],
  ['sound alone.mp4', mp4('empty_moov', '-vn', '-frag_duration', '500000')],
  ['transport.ts', ['-f', 'mpegts']],
  ['sound between pictures.ts', ['-f', 'mpegts']],
  ['of a camera.m2ts', ['-f', 'mpegts', '-mpegts_m2ts_mode', '1']],
  ['its clock begins anew.ts', ['-f', 'mpegts', '-output_ts_offset', '95410']],
  ['sound alone.ts', ['-f', 'mpegts', '-vn']],
]

for (const [name, args] of FILMS) {
  t.test(name, async t => {
    t.comment(`SEED=${seed}`)
    const plain = await piped(master, args)
    const film = name.startsWith('sound between') ? interleaved(plain) : plain
    const source = join(folder, name)
    await writeFile(source, film)
    const cut = cutUp(byChance(film, 3_000, randomOf(seed)))
    t.strictSame(cut.warnings, [])
    t.equal(cut.container, name.endsWith('ts') ? 'mpegts' : 'mp4')
    t.ok(cut.pieces.length >= 5, `${cut.pieces.length} pieces`)
    const paths = await asFiles(join(folder, `pieces of ${name}`), name, cut.pieces)
    const found = await Promise.all(paths.map(packetsOf))
    const whole = await packetsOf(source)
    for (const [stream, packets] of whole.entries()) {
      const together = found.flatMap(streams => streams[stream] ?? [])
      t.strictSame(sums(together), sums(packets), `stream ${stream}: each packet once, in order`)
    }
    const shown = await Promise.all(paths.map(decoded))
    for (const { complaint } of shown) t.equal(complaint, '')
    t.strictSame(
      shown.flatMap(({ frames }) => frames),
      (await decoded(source)).frames,
      'each frame is seen once, as in the whole',
    )
    t.equal(
      shown.reduce((sum, { sounds }) => sum + sounds, 0),
      whole.at(-1)?.length,
      'each frame of sound is heard once',
    )
    // With its index, which the first piece alone keeps, ffmpeg takes the time at which a picture is
    // shown for that of its decoding.
    const hasIndex = args.some(arg => arg.includes('dash'))
    const times = hasIndex ? await timesWithoutIndex() : whole
    const first = found.slice(0, 1)
    checkTimes(t, whole, first, 0, name.endsWith('ts'))
    checkTimes(t, times, found, 1, name.endsWith('ts'))
  })
}

const timesWithoutIndex = async (): Promise<Coded[][]> => {
  const path = join(folder, 'without an index.mp4')
  await writeFile(path, await piped(master, mp4(`${KEYED}+default_base_moof`)))
  return packetsOf(path)
}

const sums = (packets: readonly Coded[]) => packets.map(({ sum }) => sum)

/** Sound and picture are as far apart as they were, and but for MPEG-TS each piece begins at 0. */
const checkTimes = (t: Test, whole: Coded[][], found: Coded[][][], from: number, isTs: boolean) => {
  const done = whole.map(() => 0)
  for (const [number, streams] of found.entries()) {
    const moved = streams.flatMap((packets, stream) =>
      packets.map(({ time }, n) => time - timeOf(whole, stream, (done[stream] ?? 0) + n)),
    )
    const spread = Math.max(...moved) - Math.min(...moved)
    const begin = Math.min(...streams.flat().map(({ time }) => time))
    for (const [stream, { length }] of streams.entries())
      done[stream] = (done[stream] ?? 0) + length
    if (number < from) continue
    t.ok(spread < TICK, `piece ${number + 1} keeps its distances (${spread} s)`)
    if (!isTs) t.ok(begin >= 0 && begin < 0.1, `piece ${number + 1} begins at ${begin} s`)
  }
}

const timeOf = (streams: Coded[][], stream: number, packet: number) =>
  streams[stream]?.[packet]?.time ?? Number.NaN

t.test('chunks of a byte, and all at once', async t => {
  for (const args of [mp4(KEYED), ['-f', 'mpegts']]) {
    const film = await piped(master, args)
    const { pieces } = cutUp([film])
    t.strictSame(cutUp(chunked(film, 1)).pieces, pieces)
    t.ok(film.subarray(0, pieces[0]?.length).equals(pieces[0] as Buffer), 'the first is as it came')
  }
})

t.test('what cannot be cut is one piece as it came, and the warning says why', async t => {
  const anywhere = join(folder, 'plain.mp4')
  for (const [film, why] of [
    [await written(master, anywhere, []), /media come before its index/],
    [await written(master, anywhere, ['-movflags', 'faststart']), /not in fragments/],
    [await piped(master, ['-f', 'matroska']), /neither MP4 or MOV in fragments nor MPEG-TS/],
    [Buffer.from('no film at all'), /neither MP4 or MOV in fragments nor MPEG-TS/],
  ] as const) {
    const { pieces, warnings } = cutUp(chunked(film, 1_000))
    t.strictSame(pieces, [film])
    t.match(warnings, [why])
  }
  t.strictSame(cutUp([]), { pieces: [Buffer.alloc(0)], container: undefined, warnings: [] })
})
