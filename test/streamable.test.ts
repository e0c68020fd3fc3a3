/**
 * Real files of ffmpeg's: which of them have their index last?
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { findFfmpeg } from '../examples/support/ffmpeg.ts'
import type { UploadWarning } from '../lib/index.ts'
import { StreamabilityCheck } from '../lib/upload/streamable.ts'
import { chunked, endOf, SMALL, sandboxFor, smallUpload } from './support/sandboxes.ts'

/** What is said of a file that comes in chunks of this size. */
const verdictOn = (file: Buffer, size: number) => {
  const check = new StreamabilityCheck()
  for (const chunk of chunked(file, size)) {
    const verdict = check.push(chunk)
    if (verdict !== undefined) return verdict
  }
  return undefined
}

const FRAGMENTS = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof']
const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p']

t.test("ffmpeg's own files", async t => {
  const ffmpeg = await findFfmpeg()
  const folder = t.testdir()
  for (const [name, indexIsLast, args] of [
    ['plain.mp4', true, video],
    ['plain.mov', true, video],
    ['faststart.mp4', false, [...video, '-movflags', '+faststart']],
    ['fragments.mp4', false, [...video, ...FRAGMENTS]],
    ['keyframes.mp4', false, [...video, '-movflags', 'frag_keyframe']],
    ['delayed.mp4', false, [...video, '-movflags', 'dash+delay_moov+frag_keyframe']],
    ['fragments.mov', false, [...video, ...FRAGMENTS]],
    ['prores.mov', true, ['-c:v', 'prores_ks', '-profile:v', '0']],
    ['stream.ts', false, video],
    ['matroska.mkv', false, video],
    ['sound.wav', false, []],
    ['sound.m4a', true, ['-vn']],
    ['sound.mp3', false, ['-c:a', 'mp2', '-f', 'mp2']],
  ] as const) {
    const path = join(folder, name)
    const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=160x90:rate=25']
    const sound = ['-f', 'lavfi', '-i', 'sine=frequency=440']
    const input = /sound/.test(name) ? sound : [...picture, ...sound]
    await promisify(execFile)(ffmpeg, ['-v', 'error', ...input, '-t', '1', ...args, path])
    const file = await readFile(path)
    for (const size of [1, 7, 4_096, file.length]) {
      t.equal(verdictOn(file, size), indexIsLast, `${name} in chunks of ${size}`)
    }
  }
})

const box = (kind: string, size: number, header = size) => {
  const bytes = Buffer.alloc(size)
  bytes.writeUInt32BE(header)
  bytes.write(kind, 4, 'latin1')
  return bytes
}

/** An ftyp as files have it: its brand, the version of that, and what else it may be read as. */
const ftyp = (brand: string, ...compatible: string[]) => {
  const brands = Buffer.from(`${brand}\0\0\0\0${compatible.join('')}`, 'latin1')
  return Buffer.concat([box('ftyp', 8, 8 + brands.length), brands])
}

t.test('a picture has no index to wait for, and is not warned of', async t => {
  const rest = [box('meta', 300), box('mdat', 5_000)]
  for (const [name, indexIsLast, head] of [
    ['an AVIF of libavif', false, ftyp('avif', 'avif', 'mif1', 'miaf', 'MA1B')],
    ['an AVIF of ffmpeg', false, ftyp('avif', 'avif', 'mif1', 'miaf')],
    ['a moving AVIF', false, ftyp('avis', 'avis', 'avif', 'msf1', 'iso8', 'mif1', 'miaf', 'MA1A')],
    ['a HEIC of an iPhone', false, ftyp('heic', 'mif1', 'heic')],
    [
      'a HEIC of a newer one',
      false,
      ftyp('heic', 'mif1', 'MiHB', 'MiHA', 'heix', 'MiHE', 'MiPr', 'miaf', 'heic', 'tmap'),
    ],
    ['a HEIF of a Canon, 10 bit', false, ftyp('heix', 'mif1', 'heix')],
    ['a HEIF that names its container first', false, ftyp('mif1', 'mif1', 'heic')],
    ['a burst of pictures', false, ftyp('msf1', 'msf1', 'hevc')],
    ['a JPEG in HEIF', false, ftyp('jpeg', 'mif1', 'jpeg')],
    ['one known by its last brand alone', false, ftyp('unif', 'miaf', 'MiPr', 'heic')],
    ['a film of ffmpeg', true, ftyp('isom', 'isom', 'iso2', 'avc1', 'mp41')],
    ['a film of an iPhone', true, ftyp('qt  ', 'qt  ')],
    ['a film of a Sony', true, ftyp('XAVC', 'XAVC', 'mp42', 'iso2')],
    [
      'a version that looks like a brand',
      true,
      Buffer.concat([box('ftyp', 8, 16), Buffer.from('isommif1')]),
    ],
    ['a film whose brand is cut off', true, box('ftyp', 8)],
  ] as const) {
    const file = Buffer.concat([head, ...rest])
    for (const size of [1, 5, 4_096, file.length]) {
      t.equal(verdictOn(file, size), indexIsLast, `${name} in chunks of ${size}`)
    }
  }
})

t.test('boxes of every size are passed over', async t => {
  const large = Buffer.alloc(32)
  large.writeUInt32BE(1)
  large.write('free', 4)
  large.writeBigUInt64BE(32n, 8)
  const head = [box('ftyp', 24), large, box('wide', 8)]
  t.equal(verdictOn(Buffer.concat([...head, box('mdat', 16)]), 5), true)
  t.equal(verdictOn(Buffer.concat([...head, box('moov', 16)]), 5), false)
})

t.test('each byte is looked at once, however small the chunks are', async t => {
  const boxes = Buffer.concat(Array.from({ length: 8_190 }, () => box('free', 8)))
  const before = process.cpuUsage()
  t.equal(verdictOn(Buffer.concat([boxes, box('mdat', 16)]), 1), true)
  // A guard: some 50 ms, and half a minute where all is copied and looked at again at each byte.
  const { user, system } = process.cpuUsage(before)
  t.ok(user + system < 5e6, `${(user + system) / 1_000} ms of CPU`)
})

t.test('what is not certain is not said', async t => {
  t.equal(verdictOn(Buffer.alloc(100_000), 1_000), false, 'zeros')
  t.equal(verdictOn(box('ftyp', 20), 3), undefined, 'too short to tell')
  t.equal(
    verdictOn(Buffer.concat([box('ftyp', 24), box('free', 16, 0), box('mdat', 16)]), 9),
    false,
  )
  t.equal(
    verdictOn(Buffer.concat([box('ftyp', 24), box('free', 100_000), box('mdat', 16)]), 9_999),
    false,
    'too far',
  )
})

t.test('an upload warns once, and only where it was asked to', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const file = Buffer.concat([box('ftyp', 24), box('mdat', 5_000)])
  for (const warnIfNotStreamable of [true, false, undefined]) {
    const { upload } = smallUpload(sandbox, { warnIfNotStreamable })
    const warnings: UploadWarning[] = []
    upload.on('warning', warning => warnings.push(warning))
    for (const chunk of chunked(file, 10)) upload.write(chunk)
    upload.end()
    t.equal(await endOf(upload), undefined)
    t.equal(warnings.length, warnIfNotStreamable ? 1 : 0)
    if (warnIfNotStreamable) t.match(warnings, [{ code: 'NOT_STREAMABLE', message: /-movflags/ }])
  }
})
