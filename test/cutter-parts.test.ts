/**
 * What the cutter decides by, as plain data: what a stream is, when a cut is due, what time it is, and
 * where it may be cut that no ffmpeg of ours writes.
 */
import t from 'tap'
import { boxesIn, boxOf } from '../lib/segments/boxes.ts'
import { millisecondsFrom, zeroOf } from '../lib/segments/media-clock.ts'
import type { Run } from '../lib/segments/moof.ts'
import type { Track } from '../lib/segments/moov.ts'
import { Pace } from '../lib/segments/pace.ts'
import { beginningOf, millisecondsBetween, readPesStart } from '../lib/segments/packet.ts'
import { segmentName } from '../lib/segments/segment-name.ts'
import { checkSegmentTime } from '../lib/segments/segment-time.ts'
import { sniff } from '../lib/segments/sniff.ts'
import {
  asFiles,
  cutUp,
  decoded,
  interleaved,
  makeMaster,
  packetsOf,
  piped,
} from './support/pieces.ts'
import { chunked } from './support/sandboxes.ts'

t.test('what a stream is', async t => {
  const packets = (size: number, from: number) =>
    Buffer.alloc(1_000).map((_, at) => (at >= from && (at - from) % size === 0 ? 0x47 : 1))
  const box = (type: string) => Buffer.concat([Buffer.alloc(4), Buffer.from(type)])
  for (const [first, isAll, found] of [
    [box('ftyp'), false, { container: 'mp4' }],
    [box('moof'), false, { container: 'mp4' }],
    [box('ftyq'), false, undefined],
    [box('ftyq'), true, { container: 'unknown' }],
    [packets(188, 0), false, { container: 'mpegts', packet: 188 }],
    [packets(188, 100), false, { container: 'mpegts', packet: 188 }],
    [packets(192, 4), false, { container: 'mpegts', packet: 192 }],
    [packets(204, 0), false, { container: 'unknown' }],
    [packets(188, 0).subarray(0, 300), false, undefined],
    [packets(188, 0).subarray(0, 300), true, { container: 'unknown' }],
  ] as const) {
    t.strictSame(sniff(Buffer.from(first), isAll), found)
  }
})

t.test('when a cut is due', async t => {
  /** Places: bytes of the piece, and its time in ms; those at which it is cut. */
  const cuts = (places: readonly (readonly [number, number])[], maxSize = 1_000) => {
    const pace = new Pace({ segment: 100, maxSize })
    return places.flatMap(([size, elapsed], index) => {
      pace.size = size
      return pace.isDue(elapsed) ? [index] : []
    })
  }
  t.strictSame(
    cuts([
      [0, 0],
      [10, 99.9],
      [20, 98],
    ]),
    [1],
    'time, but for what rounding takes',
  )
  t.strictSame(
    cuts([
      [0, 500],
      [10, 500],
    ]),
    [1],
    'never in front of its first media',
  )
  t.strictSame(
    cuts([
      [0, 0],
      [300, 1],
      [400, 2],
      [401, 3],
    ]),
    [3],
    'before it might be too large',
  )
  const pace = new Pace({ segment: 100, maxSize: 1_000, mayCut: () => false })
  t.notOk(pace.isDue(0) || pace.isDue(500), 'unless it may not')
})

t.test('the time of a piece', async t => {
  const track = (timescale: number, skipped = 0n, put = 0n): Track => ({
    id: 1,
    kind: 'vide',
    timescale,
    skipped,
    put,
    duration: 0,
    flags: 0,
  })
  const run = (track: Track, time: bigint, shownAfter = 0): Run => ({
    track,
    time,
    shownAfter,
    duration: 0n,
    isSync: true,
  })
  const [video, sound] = [track(90_000), track(48_000)]
  const lead = run(video, 900_000n)
  t.strictSame(zeroOf([lead], lead, new Map()), { ticks: 900_000n, timescale: 90_000 })
  const earlier = run(sound, 479_000n)
  t.strictSame(zeroOf([lead, earlier], lead, new Map()), { ticks: 479_000n, timescale: 48_000 })
  t.strictSame(zeroOf([lead], lead, new Map([[sound, 479_000n]])).ticks, 479_000n, 'is to come')
  t.strictSame(zeroOf([lead], lead, new Map([[sound, 0n]])).ticks, 0n, 'ten seconds ago')
  const text = { ...sound, kind: 'text' }
  t.equal(zeroOf([lead], lead, new Map([[text, 479_000n]])).ticks, 900_000n, 'subtitles rest')
  const later = run(video, 90_000_000n)
  t.strictSame(zeroOf([later], later, new Map([[sound, 0n]])).ticks, 90_000_000n, 'has ended')
  // An edit list that leaves out 1,024 ticks of sound must not leave them out of each piece.
  const primed = run(track(48_000, 1_024n), 480_000n)
  t.strictSame(zeroOf([lead, primed], lead, new Map()), { ticks: 478_976n, timescale: 48_000 })
  // What is shown a second late by an edit list.
  const late = run(track(48_000, 0n, 48_000n), 431_520n)
  t.strictSame(zeroOf([lead, late], lead, new Map()), { ticks: 479_520n, timescale: 48_000 })
  // Since 1970, in tenths of a microsecond: beyond what a number holds.
  const far = { ticks: 17_000_000_000_000_001n, timescale: 10_000_000 }
  t.equal(millisecondsFrom(far, { ticks: 17_000_000_000_010_001n, timescale: 10_000_000 }), 1)
})

t.test('the time of MPEG-TS', async t => {
  t.equal(millisecondsBetween(0, 90), 1)
  t.equal(millisecondsBetween(90, 0), -1)
  t.equal(millisecondsBetween(2 ** 33 - 45, 45), 1, 'its count began anew')
  const pes = (flags: number) =>
    Buffer.from(
      [
        '000001e0',
        '0000',
        '80',
        flags.toString(16).padStart(2, '0'),
        '0a',
        '3fffffffff',
        '1100010003',
      ].join(''),
      'hex',
    )
  t.strictSame(readPesStart(pes(0x80)), { left: Number.POSITIVE_INFINITY, time: 2 ** 33 - 1 })
  t.strictSame(readPesStart(pes(0xc0))?.time, 1, 'of decoding')
  t.strictSame(readPesStart(pes(0))?.time, undefined)
  t.equal(readPesStart(Buffer.from('000002e0000080', 'hex')), undefined)
  const sound = Buffer.concat([Buffer.from('000001c00064808005', 'hex'), Buffer.alloc(50)])
  t.equal(readPesStart(sound)?.left, 6 + 0x64 - sound.length)
})

t.test('where a picture stands for itself', async t => {
  const picture = (...units: number[]) =>
    Buffer.from([0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0, ...units.flatMap(unit => [0, 0, 1, unit, 9])])
  for (const [type, units, is] of [
    [27, [9, 0x67], true],
    [27, [9, 0x65], true],
    [27, [9, 0x41], false],
    [36, [70, 64], true],
    [36, [70, 38], true],
    [36, [70, 2], false],
    [2, [0xb3], true],
    [2, [0x00], false],
    [99, [0xb3, 0x65], false],
  ] as const) {
    const hasParameters = is && ![0x65, 38].includes(units.at(-1) ?? 0)
    t.equal(beginningOf(picture(...units), type).hasParameters, hasParameters)
    t.equal(beginningOf(picture(...units), type).isKey, is, `type ${type}, ${units}`)
  }
})

t.test('names and times that people give', async t => {
  t.equal(segmentName('A001.mp4', 1), 'A001_001.mp4')
  t.equal(segmentName('A.001.mov', 1_234), 'A.001_1234.mov')
  for (const [time, ms] of [
    ['10s', 10_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1500ms', 1_500],
    ['0.5m', 30_000],
    [1_000, 1_000],
    ['24h', 86_400_000],
  ] as const) {
    t.equal(checkSegmentTime('segment', time), ms)
  }
  for (const time of ['', '5', 'm', '-5m', '5 m', '1d', '0s', 0, 999, 86_400_001, true, null, {}]) {
    t.throws(() => checkSegmentTime('segment', time), { code: 'ERR_INVALID_OPTION' })
  }
})

const master = await makeMaster(t.testdir(), ['-t', '6'])
const mp4 = await piped(master, ['-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov'])
const SEGMENT = { segment: 2_000 }

/** The kinds of boxes in a piece. */
const kindsIn = (piece: Buffer) =>
  [...boxesIn(piece, { body: 0, end: piece.length })].map(({ type }) => type)

t.test('another recording in the same stream is another piece', async t => {
  const sound = await piped(master, ['-vn', '-f', 'mp4', '-movflags', 'empty_moov'])
  const { pieces, warnings } = cutUp(chunked(Buffer.concat([mp4, sound]), 777), SEGMENT)
  const alone = cutUp([mp4], SEGMENT).pieces
  t.strictSame(warnings, [])
  t.equal(pieces.length, alone.length + cutUp([sound], SEGMENT).pieces.length)
  t.ok(pieces[alone.length]?.equals(sound.subarray(0, pieces[alone.length]?.length)))
})

t.test('so it is in MPEG-TS, where the table of its streams is another', async t => {
  const folder = t.testdir()
  const film = await piped(master, ['-f', 'mpegts'])
  const sound = await piped(master, ['-vn', '-f', 'mpegts'])
  for (const segment of [2_000, 60_000]) {
    const { pieces } = cutUp(chunked(Buffer.concat([film, sound]), 5_000), { segment })
    const alone = cutUp([film], { segment }).pieces.length
    t.equal(pieces.length, alone + cutUp([sound], { segment }).pieces.length)
    const paths = await asFiles(folder, 'programs.ts', pieces)
    const found = await Promise.all(paths.map(packetsOf))
    for (const [number, { length }] of found.entries()) t.equal(length, number < alone ? 2 : 1)
  }
})

t.test('a recorder that begins anew with the same head begins another piece', async t => {
  for (const flags of ['frag_keyframe+empty_moov', 'frag_keyframe']) {
    const take = await piped(master, ['-f', 'mp4', '-movflags', flags, '-t', '3'])
    const folder = t.testdir()
    const { pieces, warnings } = cutUp([take, take, take], SEGMENT)
    t.strictSame(warnings, [])
    t.equal(pieces.length, 6)
    const paths = await asFiles(folder, 'anew.mp4', pieces)
    for (const [number, { frames, complaint }] of (
      await Promise.all(paths.map(decoded))
    ).entries()) {
      t.equal(complaint, '')
      t.equal(frames.length, number % 2 === 0 ? 60 : 32)
    }
  }
})

t.test('a track that begins late makes the first piece alone begin late', async t => {
  const folder = t.testdir()
  const late = await makeMaster(folder, ['-t', '6', '-af', 'asetpts=PTS+0.7/TB'])
  const film = await piped(late, ['-f', 'mp4', '-movflags', 'frag_keyframe+delay_moov'])
  const { pieces } = cutUp(chunked(film, 5_000), SEGMENT)
  t.equal(pieces.length, 3)
  const paths = await asFiles(folder, 'late.mp4', pieces)
  const found = await Promise.all(paths.map(packetsOf))
  for (const [number, streams] of found.entries()) {
    const begins = streams.map(packets => packets[0]?.time ?? Number.NaN)
    t.equal(Math.max(...begins) > 0.6, number === 0, `piece ${number + 1} begins at ${begins}`)
  }
})

t.test('where no place comes for long, a warning says so', async t => {
  const args = ['-t', '12', '-g', '240', '-keyint_min', '240', '-forced-idr', '1']
  const film = await makeMaster(t.testdir(), [...args, '-force_key_frames', '3,6'])
  for (const format of [
    ['-f', 'mpegts'],
    ['-f', 'mp4', '-movflags', 'empty_moov+frag_keyframe', '-frag_duration', '200000'],
  ]) {
    const bytes = await piped(film, format)
    t.match(cutUp([bytes], SEGMENT).warnings, [/no place to cut it for 4 s/])
    t.strictSame(cutUp([bytes], { segment: 3_000 }).warnings, [])
  }
})

t.test('boxes without end, with nothing in them, are not held', async t => {
  const empty = (type: string) => Buffer.from(`\0\0\0\x08${type}`.repeat(40_000), 'latin1')
  const moov = mp4.indexOf('moov') - 4
  const before = Buffer.concat([mp4.subarray(0, moov), empty('uuid'), mp4.subarray(moov)])
  const { pieces, warnings } = cutUp([before], SEGMENT)
  t.match(warnings, [/index \(moov\) is too large/])
  t.ok(pieces.length === 1 && pieces[0]?.equals(before))
})

t.test('an index of the whole goes only where it is right', async t => {
  t.equal(kindsIn(cutUp([mp4], { segment: 60_000 }).pieces[0] as Buffer).at(-1), 'mfra')
  const { pieces } = cutUp([mp4], SEGMENT)
  t.ok(pieces.length > 1)
  for (const piece of pieces) t.notOk(kindsIn(piece).includes('mfra'))
  // As OBS puts it behind its fragments in the end.
  const moov = Buffer.from(mp4.subarray(mp4.indexOf('moov') - 4, mp4.indexOf('moof') - 4))
  moov.writeUInt32BE(0x01020304, boxOf(moov).body + 12)
  const hybrid = Buffer.concat([mp4, moov])
  t.notOk(cutUp([hybrid], SEGMENT).pieces.at(-1)?.includes(moov))
  t.strictSame(cutUp([hybrid], { segment: 60_000 }).pieces, [hybrid])
})

t.test('a stream without marks is cut where its pictures begin with their parameters', async t => {
  const ts = await piped(master, ['-f', 'mpegts'])
  const unmarked = Buffer.from(ts)
  for (let at = 0; at < unmarked.length; at += 188) {
    const field = (unmarked[at + 3] ?? 0) & 0x20 && (unmarked[at + 4] ?? 0) > 0
    if (field) unmarked[at + 5] = (unmarked[at + 5] ?? 0) & ~0x40
  }
  const sizes = (film: Buffer) => cutUp([film], SEGMENT).pieces.map(({ length }) => length)
  t.notOk(unmarked.equals(ts))
  t.strictSame(sizes(unmarked), sizes(ts))
})

const packetsIn = (film: Buffer) => [...chunked(film, 188)]
const pidOf = (packet: Buffer) => packet.readUInt16BE(1) & 0x1fff

t.test('a picture that is marked without its parameters is no place', async t => {
  const film = await piped(master, ['-f', 'mpegts'])
  const parameters = Buffer.from([0, 0, 1, 0x67])
  const isMarked = (packet: Buffer) =>
    ((packet[3] ?? 0) & 0x20) !== 0 && packet.includes(parameters)
  const marked = packetsIn(film).filter(isMarked)
  t.ok(marked.length >= 4, 'they come with them')
  const sizes = cutUp([film], SEGMENT).pieces.map(({ length }) => length)
  // The picture at which it would be cut first: as of open groups in a stream that was only copied.
  const first = packetsIn(film.subarray(sizes[0])).find(isMarked) as Buffer
  first[first.indexOf(parameters) + 3] = 0x7f
  const { pieces } = cutUp([film], SEGMENT)
  t.ok((pieces[0]?.length ?? 0) > (sizes[0] ?? 0), 'it is cut at the next')
  for (const piece of pieces.slice(1)) t.ok(packetsIn(piece)[2]?.includes(parameters))
})

t.test('each stream goes over to the next piece where its own PES packet ends', async t => {
  const film = interleaved(await piped(master, ['-f', 'mpegts']))
  const { pieces } = cutUp(chunked(film, 500), SEGMENT)
  t.equal(pieces.length, 3)
  for (const piece of pieces.slice(1)) {
    const [pat, pmt, picture] = packetsIn(piece)
    t.strictSame(
      [pat, pmt, picture].map(packet => pidOf(packet as Buffer)),
      [0, 4096, 256],
    )
    const sound = packetsIn(piece).find(packet => pidOf(packet) === 257)
    t.ok((sound?.[1] ?? 0) & 0x40, 'the first packet of sound is the first of a PES packet')
  }
  const after = packetsIn(pieces[0] as Buffer).slice(-3)
  t.ok(
    after.every(packet => pidOf(packet) === 257),
    'and the rest of the last is in the piece before',
  )
})

t.test('nothing is waited for that does not come', async t => {
  const ts = await piped(await makeMaster(t.testdir(), ['-t', '20']), ['-f', 'mpegts'])
  // Sound breaks off behind the beginning of a PES packet, before the first cut.
  const from = (cutUp([ts], SEGMENT).pieces[0]?.length ?? 0) / 188
  const begins = (packet: Buffer) => pidOf(packet) === 257 && ((packet[1] ?? 0) & 0x40) !== 0
  const last = packetsIn(ts).slice(0, from).findLastIndex(begins)
  const kept = packetsIn(ts).filter((packet, n) => n <= last || pidOf(packet) !== 257)
  const film = Buffer.concat(kept)
  const { pieces } = cutUp(chunked(film, 1_000), SEGMENT)
  t.ok(pieces.length > 4, `${pieces.length} pieces: it is waited for once, and not for ever`)
  const heads = (pieces.length - 1) * 2 * 188
  t.equal(Buffer.concat(pieces).length, film.length + heads, 'no byte is lost')
})

t.test('a table that was damaged goes in front of nothing', async t => {
  const film = await piped(master, ['-f', 'mpegts'])
  const whole = cutUp([film], SEGMENT).pieces
  let tables = 0
  for (const packet of packetsIn(film)) {
    // The first one of each is as it was.
    if ((pidOf(packet) === 0 || pidOf(packet) === 4096) && ++tables > 2) packet[15] = 0xff
  }
  const { pieces } = cutUp([film], SEGMENT)
  t.equal(pieces.length, whole.length)
  for (const [n, piece] of pieces.entries()) {
    const [pat, pmt] = packetsIn(whole[n]?.subarray(n === 0 ? 188 : 0) as Buffer)
    const head = packetsIn(piece.subarray(n === 0 ? 188 : 0))
    t.ok(head[0]?.subarray(4).equals(pat?.subarray(4) as Buffer))
    t.ok(head[1]?.subarray(4).equals(pmt?.subarray(4) as Buffer))
  }
})
