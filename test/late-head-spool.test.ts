/**
 * Part 1 that goes last, of recordings that a spool keeps.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  type FrameioClient,
  finishWav,
  type RealtimeUploadOptions,
  resumeUploads,
} from '../lib/index.ts'
import { realDisk } from '../lib/spool/disk.ts'
import {
  bytes,
  clientFor,
  endOf,
  folderFor,
  hashOf,
  journalsIn,
  lastTwo,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  until,
} from './support/sandboxes.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** A WAV as ffmpeg pipes it: of one byte a sample, so that every size is whole. */
const piped = (size: number): Buffer => {
  const wav = bytes(size)
  wav.write('RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0', 0, 'latin1')
  wav.writeUInt32LE(8_000, 24)
  wav.writeUInt32LE(8_000, 28)
  wav.write('\x01\0\x08\0data\xff\xff\xff\xff', 32, 'latin1')
  return wav
}

const finished = (wav: Buffer): Buffer => {
  const copy = Buffer.from(wav)
  copy.writeUInt32LE(wav.length - 8, 4)
  copy.writeUInt32LE(wav.length - 44, 40)
  return copy
}

t.test('with a spool part 1 goes last as well, and nothing is left behind', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dir = await folderFor(t)
  for (const spool of [
    { dir, keepFree: 0, syncEvery: 20 },
    { dir, keepFree: 0, durable: false },
  ]) {
    for (const memoryLimit of [1, 2 ** 20]) {
      for (const size of [500, 1_000, 1_001, 23_456]) {
        const options = { lateHead: finishWav, spool, memoryLimit, integrity: 'md5' } as const
        const { upload, asset, seen } = smallUpload(sandbox, options)
        const wav = piped(size)
        upload.end(wav)
        t.equal(await endOf(upload), undefined)
        t.equal(await hashOf(asset), sha256(finished(wav)), `${size} bytes`)
        const parts = Math.ceil(size / 1_000)
        t.strictSame(lastTwo(sandbox, asset), parts === 1 ? [1] : [1, parts])
        t.equal(
          seen.warning.some(({ code }) => code === 'HEAD_NOT_MENDED'),
          false,
        )
        t.strictSame(await readdir(dir), [])
      }
    }
  }
})

/** Ends a recording of so many bytes, while no PUT gets through where `isHeld`, and cuts it off. */
const cutOff = async (
  t: Teardown,
  options: Partial<RealtimeUploadOptions>,
  { size, hasEnded, held }: { size: number; hasEnded: boolean; held?: number },
) => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dir = await folderFor(t)
  const hang = { times: Infinity, do: { hang: 'answer' } } as const
  sandbox.faults.add(
    held === undefined ? { on: 'put', ...hang } : { on: 'put', part: held, ...hang },
  )
  const spool = { dir, keepFree: 0, syncEvery: 20 }
  const { upload, asset, seen } = smallUpload(sandbox, { ...options, spool })
  const wav = piped(size)
  upload.write(wav)
  if (hasEnded) {
    upload.end()
    await until(() => asset.filesize !== undefined)
  }
  await until(() => upload.progress.bytesDurable === size, 'all to be durable')
  if (held !== undefined) {
    const others = Math.ceil(size / 1_000) - 1
    await until(() => seen.part.length === others)
    await until(() => journalsIn(dir).split('"stored"').length > others, 'the journal to have it')
  }
  upload.destroy(new Error('cut off'))
  await endOf(upload)
  sandbox.faults.clear()
  return { sandbox, dir, asset, wav, client: clientFor(t, sandbox) }
}

const resumeAll = async (dir: string, client: FrameioClient, more: object = {}) => {
  const all = []
  for await (const one of resumeUploads({ dir, client, ...more })) all.push(one)
  return all
}

t.test('a recording that was cut off gets its head mended by whoever resumes it', async t => {
  for (const integrity of [undefined, 'md5'] as const) {
    for (const size of [500, 1_000, 5_500]) {
      for (const hasEnded of [false, true]) {
        const options = { lateHead: finishWav, integrity }
        const { sandbox, dir, asset, wav, client } = await cutOff(t, options, { size, hasEnded })
        const parts = Math.ceil(size / 1_000)
        t.strictSame(await resumeAll(dir, client), [{ assetId: asset.id, bytes: size, parts }])
        t.equal(await hashOf(asset), sha256(finished(wav)), `${size} bytes, ended: ${hasEnded}`)
        t.strictSame(lastTwo(sandbox, asset), parts === 1 ? [1] : [1, parts])
        t.strictSame(await readdir(dir), [])
      }
    }
  }
})

t.test('whichever of the last two was stored, the other follows', async t => {
  for (const held of [1, 6]) {
    const take = { size: 5_500, hasEnded: true, held }
    const { dir, asset, wav, client } = await cutOff(t, { lateHead: finishWav }, take)
    t.strictSame(await resumeAll(dir, client), [{ assetId: asset.id, bytes: 5_500, parts: 6 }])
    t.equal(await hashOf(asset), sha256(finished(wav)), `without part ${held}`)
    t.strictSame(
      asset.parts.map(({ number, puts }) => [number, puts]),
      [1, 2, 3, 4, 5, 6].map(number => [number, number === held ? 2 : 1]),
      'nothing is sent twice',
    )
  }
})

t.test('without a function the head is resumed as it came', async t => {
  const take = { size: 3_500, hasEnded: false }
  const { sandbox, dir, asset, wav, client } = await cutOff(t, { lateHead: true }, take)
  t.match(await resumeAll(dir, client), [{ bytes: 3_500, parts: 4 }])
  t.equal(await hashOf(asset), sha256(wav))
  t.strictSame(lastTwo(sandbox, asset), [1, 4])
})

t.test('a recording that is kept open keeps its head too', async t => {
  const take = { size: 3_500, hasEnded: false }
  const { dir, asset, wav, client } = await cutOff(t, { lateHead: finishWav }, take)
  t.match(await resumeAll(dir, client, { onInterrupted: 'keep' }), [{ bytes: 3_500 }])
  t.strictSame(
    asset.parts.filter(({ stored }) => stored).map(({ number }) => number),
    [2, 3],
  )
  t.equal(
    asset.parts.some(({ number }) => number === 1),
    false,
  )
  t.match(await resumeAll(dir, client), [{ bytes: 3_500, parts: 4 }])
  t.equal(await hashOf(asset), sha256(finished(wav)))
})

t.test('a resume that is cut off is resumed', async t => {
  const take = { size: 5_500, hasEnded: false }
  const { sandbox, dir, asset, wav, client } = await cutOff(t, { lateHead: finishWav }, take)
  sandbox.faults.add({ on: 'put', part: 6, times: Infinity, do: { status: 403 } })
  t.match(await resumeAll(dir, client), [{ error: { code: 'ERR_STORAGE_REJECTED' } }])
  sandbox.faults.clear()
  t.match(await resumeAll(dir, client), [{ bytes: 5_500, parts: 6 }])
  t.equal(await hashOf(asset), sha256(finished(wav)))
})

t.test('a head that a full disk did not take goes there while all else goes up', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dir = await folderFor(t)
  const { free } = realDisk
  t.teardown(() => Object.assign(realDisk, { free }))
  Object.assign(realDisk, { free: async () => 0 })
  const spool = { dir, keepFree: 1, syncEvery: 20 }
  const { upload, asset, seen } = smallUpload(sandbox, { lateHead: finishWav, spool })
  const wav = piped(50_500)
  let size = 3_500
  upload.write(wav.subarray(0, size))
  await until(() => upload.progress.partsUploaded === 2, 'all but the head and the last')
  t.match(seen.warning, [{ code: 'SPOOL_FULL' }])
  Object.assign(realDisk, { free })
  // The network moves all the time.
  const isThere = async () =>
    /"t":"part","n":1,/.test(await readFile(join(dir, asset.id, 'journal'), 'utf8'))
  while (!(await isThere()) && size < wav.length) {
    upload.write(wav.subarray(size, size + 1_000))
    size += 1_000
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  t.ok(await isThere(), 'before it is cut off')
  upload.destroy(new Error('cut off'))
  await endOf(upload)
  t.match(await resumeAll(dir, clientFor(t, sandbox)), [{ bytes: size, error: undefined }])
  t.equal(await hashOf(asset), sha256(finished(wav.subarray(0, size))))
})

t.test('a journal says how the head is mended', async t => {
  const { dir, asset } = await cutOff(t, { lateHead: finishWav }, { size: 500, hasEnded: false })
  const [opening = ''] = (await readFile(join(dir, asset.id, 'journal'), 'utf8')).split('\n')
  t.match(JSON.parse(opening.slice(9)), { lateHead: 'wav' })
})
