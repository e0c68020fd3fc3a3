/**
 * A minute of film, as ffmpeg makes it, to an account without Camera to Cloud: each piece plays by itself, is there
 * before the next is done, and together they are the film.
 */
import type { ChildProcess } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { findFfmpeg } from '../../examples/support/ffmpeg.ts'
import { recordToV4, type TakeEvent } from '../../lib/index.ts'
import { decoded, LENGTH } from '../support/pieces.ts'
import { folderFor } from '../support/sandboxes.ts'
import { v4ClientFor, v4For } from '../support/v4.ts'

/** A guard against hanging, and no more. */
t.setTimeout(240_000)

const RATE = 30
const MP4 = ['-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov+default_base_moof']

/** A program that films a minute in a few seconds, with a picture that stands for itself each second. */
const camera = async (format: readonly string[]) => ({
  command: await findFfmpeg(),
  args: [
    ...['-nostdin', '-v', 'error', '-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=${RATE}`],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440', '-t', String(LENGTH)],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-bf', '2'],
    ...['-g', String(RATE), '-keyint_min', String(RATE), '-sc_threshold', '0'],
    ...['-c:a', 'aac', ...format, 'pipe:1'],
  ],
})

const film = async (t: Test, name: string, format: readonly string[], segment?: '10s') => {
  const dir = await folderFor(t)
  const sandbox = await v4For(t, { v4: { sliceSize: 500_000 } })
  const client = v4ClientFor(t, sandbox)
  const events: TakeEvent[] = []
  let endedAt = Number.NaN
  const { folderId } = sandbox.v4
  const { source, ...result } = await recordToV4(await camera(format), {
    ...{ client, folderId, name, spool: { dir, keepFree: 0 }, segment },
    onEvent: event => void events.push(event),
    onStart: (program: ChildProcess) => {
      program.once('exit', () => {
        endedAt = performance.now()
      })
    },
  })
  t.equal(source.ok, true, source.stderr)
  const { files } = sandbox.v4
  for (const file of files) await file.whenUploaded()
  t.strictSame(
    result.files.map(({ fileId, name, bytes }) => ({ fileId, name, bytes })),
    files.map(({ id, name, filesize }) => ({ fileId: id, name, bytes: filesize })),
    'what it says is what Frame.io has',
  )
  t.equal(
    result.bytes,
    files.reduce((sum, { filesize = 0 }) => sum + filesize, 0),
  )
  t.strictSame(await readdir(dir), [], 'nothing is left on the disk')
  const shown = await Promise.all(files.map(({ path }) => decoded(path as string)))
  for (const { complaint } of shown) t.equal(complaint, '', 'it decodes without a complaint')
  t.equal(
    shown.reduce((sum, { frames }) => sum + frames.length, 0),
    LENGTH * RATE,
    'no frame is lost, and none is there twice',
  )
  return { sandbox, endedAt, events, names: files.map(({ name }) => name) }
}

for (const [name, format] of [
  ['A001.mp4', MP4],
  ['A001.ts', ['-f', 'mpegts']],
] as const) {
  t.test(`${name} in pieces of ten seconds`, async t => {
    const { sandbox, endedAt, events, names } = await film(t, name, format, '10s')
    const pieces = [1, 2, 3, 4, 5, 6].map(n => name.replace('.', `_00${n}.`))
    t.strictSame(names, pieces)
    const [first] = sandbox.v4.files
    const puts = sandbox.requests.filter(r => r.operation === 'put' && r.assetId === first?.id)
    t.equal(puts.length, first?.parts.length)
    t.ok(
      puts.every(put => (put.endedAt ?? Infinity) < endedAt),
      'the first piece is stored before the recording ends',
    )
    const told = events.flatMap(event => (event.type === 'piece' ? event.name : []))
    t.strictSame(told, pieces, 'each piece was told of')
    const file = events.findIndex(event => event.type === 'file')
    const second = events.findIndex(event => event.type === 'piece' && event.number === 3)
    t.ok(file < second, 'and so was the first file, before the third piece was whole')
    t.strictSame(
      events.filter(({ type }) => type === 'warning'),
      [],
    )
  })
}

t.test('without pieces it is one file, uploaded at the end', async t => {
  const { names, sandbox, endedAt } = await film(t, 'A001.mp4', MP4)
  t.strictSame(names, ['A001.mp4'])
  t.ok(sandbox.requests.every(({ startedAt }) => startedAt > endedAt))
})

t.test('what cannot be cut is one file, with a warning', async t => {
  const { names, events } = await film(t, 'A001.mkv', ['-f', 'matroska'], '10s')
  t.strictSame(names, ['A001.mkv'])
  const warnings = events.flatMap(event => (event.type === 'warning' ? event.code : []))
  t.strictSame(warnings, ['NOT_CUTTABLE'])
})
