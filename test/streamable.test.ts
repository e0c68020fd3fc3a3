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
