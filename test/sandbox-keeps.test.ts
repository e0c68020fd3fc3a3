/**
 * What the sandbox has stored is never removed because of an error.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { fileNameOf } from '../lib/file-name.ts'
import { listOf } from '../lib/sandbox/files.ts'
import type { Sandbox, SandboxAsset } from '../lib/sandbox/index.ts'
import { boot, call, looseFiles, mp4, put, register, urlFor } from './sandbox-kit.ts'
import { noSmallDisk, smallDisk } from './support/small-disk.ts'

const PART = 190_000

/** Uploads all parts of a recording, the last one last. */
const upload = async (sandbox: Sandbox, asset: SandboxAsset, body: Buffer) => {
  const count = Math.ceil(body.length / PART)
  const parts = Array.from({ length: count }, (_, index) => {
    const size = Math.min(PART, body.length - index * PART)
    return [index + 1, size, index === count - 1] as const
  })
  const { urls } = await register(sandbox, asset.id, parts, { asset_filesize: body.length })
  for (const [index, url] of urls.entries()) {
    const { status } = await put(url, body.subarray(index * PART, (index + 1) * PART))
    if (status !== 200) throw new Error(`PUT ${index + 1} was answered with ${status}`)
  }
  return urls
}

const joined = async (files: readonly string[]) =>
  Buffer.concat(await Promise.all(files.map(file => readFile(file))))

const failureOf = async (asset: SandboxAsset): Promise<Error & { code?: string }> =>
  asset.whenUploaded().then(
    () => {
      throw new Error('It was put together')
    },
    error => error,
  )

/** A sandbox whose assets cannot be put together: a file is where the folder of the asset would be. */
const obstructed = async (t: Test) => {
  const sandbox = await boot(t, { dir: t.testdir() })
  const asset = mp4(sandbox)
  await writeFile(join(String(sandbox.dir), asset.id), 'in the way')
  return { sandbox, asset }
}

t.test('a name becomes one that a disk takes', async t => {
  const [a251, e83, family] = ['a'.repeat(251), 'é'.repeat(83), '👨‍👩‍👧']
  for (const [name, expected] of [
    ['A001.mp4', 'A001.mp4'],
    ['../../e\u0000vil.mp4', '__.._e_vil.mp4'],
    [`${a251}.mp4`, `${a251}.mp4`],
    [`${a251}b.mp4`, `${a251}.mp4`],
    [`${'a'.repeat(270)}.mp4`, `${a251}.mp4`],
    ['é'.repeat(130), 'é'.repeat(127)],
    [`${'é'.repeat(130)}.mp4`, `${'é'.repeat(125)}.mp4`],
    [`${'語'.repeat(90)}.mp4`, `${'語'.repeat(83)}.mp4`],
    ['e\u0301'.repeat(90), 'e\u0301'.repeat(85)],
    [`${e83}${'a'.repeat(70)}${family}.mp4`, `${e83}${'a'.repeat(70)}.mp4`],
    [`${'a'.repeat(249)}\u{1f3a5}.mp4`, `${'a'.repeat(249)}.mp4`],
    [`a.${'x'.repeat(300)}`, `a.${'x'.repeat(253)}`],
    [`a${'\u0301'.repeat(300)}.mp4`, '_.mp4'],
  ] as const) {
    t.equal(fileNameOf(name), expected)
    t.ok(Buffer.byteLength(fileNameOf(name)) <= 255)
  }
})

t.test('files are listed by the first and the last', async t => {
  t.equal(listOf(['/x/a.00001']), '/x/a.00001')
  const many = ['/x/a.00001', '/x/a.00002', '/x/a.00003']
  t.equal(listOf(many), '/x/a.00001 to a.00003, 3 files in this order')
})

t.test('an asset with a name of 274 bytes becomes a file, with its extension', async t => {
  const sandbox = await boot(t)
  const name = `${'ö'.repeat(135)}.mp4`
  t.equal(Buffer.byteLength(name), 274)
  const asset = sandbox.createAsset({ name, filetype: 'video/mp4' })
  await upload(sandbox, asset, Buffer.from('recorded'))
  await asset.whenUploaded()
  t.equal(asset.name, name)
  t.equal(basename(String(asset.path)), `${'ö'.repeat(125)}.mp4`)
  t.strictSame(asset.files, [asset.path])
  t.equal(await readFile(String(asset.path), 'utf8'), 'recorded')
})

t.test('so does one that gets such a name at the end', async t => {
  const sandbox = await boot(t)
  const asset = sandbox.createAsset({ extension: '.mp4', filetype: 'video/mp4' })
  const more = { asset_filesize: 2, asset_name: `${'a'.repeat(300)}.mp4` }
  const { urls } = await register(sandbox, asset.id, [[1, 2, true]], more)
  await put(String(urls[0]), 'ok')
  await asset.whenUploaded()
  t.equal(await readFile(String(asset.path), 'utf8'), 'ok')
})

t.test(
  'a name that the disk does not take is refused before there is anything to lose',
  async t => {
    // Longer than any path may be, with the folder of an asset and its file.
    const dir = join(t.testdir(), ...Array.from({ length: 19 }, () => 'd'.repeat(195)))
    const sandbox = await boot(t, { dir })
    const wanted = { name: `${'a'.repeat(250)}.mp4`, filetype: 'video/mp4' }
    t.throws(() => sandbox.createAsset(wanted), {
      name: 'TypeError',
      message: /^createAsset: ENAMETOOLONG/,
    })
    const path = `/v2/assets/${sandbox.parentId}/children`
    const body = { type: 'file', is_realtime_upload: true, ...wanted }
    t.match(await call(sandbox, 'POST', path, body), { status: 500, detail: /ENAMETOOLONG/ })
    await sandbox.close()
    t.strictSame(await readdir(dir), [], 'and nothing is left of the try')
  },
)

t.test('what cannot be put together is kept, named, and said to have failed', async t => {
  const { sandbox, asset } = await obstructed(t)
  const body = randomBytes(3 * PART)
  await upload(sandbox, asset, body)
  const error = await failureOf(asset)
  t.equal(error.code, 'EEXIST')
  t.match(error.message, /^'a\.mp4' could not be put together: EEXIST/)
  t.ok(error.message.endsWith(`every byte of it is kept: ${listOf(asset.files)}`), error.message)
  const { json } = await call(sandbox, 'GET', `/v2/assets/${asset.id}`)
  t.match(json, { upload_completed_at: null, upload_failed_at: /^2/ })
  await sandbox.close()
  t.ok((await joined(asset.files)).equals(body))
})

t.test('a late PUT takes nothing from what could not be put together', async t => {
  const { sandbox, asset } = await obstructed(t)
  const body = randomBytes(2 * PART)
  const [url] = await upload(sandbox, asset, body)
  await failureOf(asset)
  t.equal((await put(String(url), body.subarray(0, PART))).status, 200)
  await sandbox.close()
  t.ok((await joined(asset.files)).equals(body))
})

t.test('what fails halfway leaves each byte in one file, in order', async t => {
  const sandbox = await boot(t, { dir: t.testdir() })
  const asset = mp4(sandbox)
  const body = randomBytes(4 * PART)
  const { urls } = await register(
    sandbox,
    asset.id,
    [1, 2, 3, 4].map(number => [number, PART, number === 4] as const),
    { asset_filesize: body.length },
  )
  const partOf = (number: number) => body.subarray((number - 1) * PART, number * PART)
  for (const number of [1, 2, 3]) await put(String(urls[number - 1]), partOf(number))
  const [, , third = ''] = asset.files
  // A part that cannot be read: whatever else a disk may do to it.
  await rm(third)
  await mkdir(third)
  await put(String(urls[3]), partOf(4))
  t.equal((await failureOf(asset)).code, 'EISDIR')
  await sandbox.close()
  const [first = '', folder, last = '', ...more] = asset.files
  t.strictSame([folder, more], [third, []])
  t.ok((await readFile(first)).equals(body.subarray(0, 2 * PART)))
  t.ok((await readFile(last)).equals(partOf(4)))
})

t.test(
  'a folder that was given keeps the parts of what never completed, and names them',
  async t => {
    const sandbox = await boot(t, { dir: join(t.testdir(), 'out') })
    const [kept, deleted, untouched] = [mp4(sandbox), mp4(sandbox), mp4(sandbox)]
    await put(await urlFor(sandbox, kept.id), '1234')
    await put(await urlFor(sandbox, kept.id, 2), '5678')
    await put(await urlFor(sandbox, deleted.id), 'gone')
    await call(sandbox, 'DELETE', `/v2/assets/${deleted.id}`)
    await sandbox.close()
    t.equal(String(await joined(kept.files)), '12345678')
    t.equal((await looseFiles(sandbox)).length, 2, 'what was deleted on purpose is gone')
    const closed = 'The sandbox was closed before the upload was complete'
    t.equal(
      (await failureOf(kept)).message,
      `${closed}; what is stored of it is kept: ${listOf(kept.files)}`,
    )
    t.equal((await failureOf(untouched)).message, closed)
  },
)

t.test('a temporary folder goes, and nothing says that it is kept', async t => {
  const sandbox = await boot(t)
  const [open, failed] = [mp4(sandbox), mp4(sandbox)]
  await put(await urlFor(sandbox, open.id), '1234')
  await writeFile(join(String(sandbox.dir), failed.id), 'in the way')
  await upload(sandbox, failed, randomBytes(PART))
  const { message } = await failureOf(failed)
  t.match(message, /every byte of it is there until the sandbox closes: .*\.00001$/)
  await sandbox.close()
  t.notMatch((await failureOf(open)).message, /kept/)
  t.notOk(existsSync(String(sandbox.dir)))
})

t.test('what is being put together when the sandbox closes becomes a file', async t => {
  const sandbox = await boot(t, { dir: t.testdir() })
  const asset = mp4(sandbox)
  const body = randomBytes(5 * PART)
  await upload(sandbox, asset, body)
  await sandbox.close()
  await asset.whenUploaded()
  t.equal(asset.sha256, createHash('sha256').update(body).digest('hex'))
  t.strictSame(await readdir(String(sandbox.dir)), [asset.id])
})

t.test('on a disk that is small', { skip: noSmallDisk }, async t => {
  t.test('a recording that fills most of it is put together', async t => {
    const sandbox = await boot(t, { dir: smallDisk(t, 1.2e6) })
    const asset = mp4(sandbox)
    const body = randomBytes(5 * PART)
    await upload(sandbox, asset, body)
    await asset.whenUploaded()
    t.ok((await readFile(String(asset.path))).equals(body))
    await sandbox.close()
  })

  t.test('a recording that fills all of it is kept in its parts', async t => {
    const dir = smallDisk(t, 1_020_000)
    const sandbox = await boot(t, { dir })
    const asset = mp4(sandbox)
    const body = randomBytes(5 * PART)
    await upload(sandbox, asset, body)
    const error = await failureOf(asset)
    t.equal(error.code, 'ENOSPC')
    t.match(error.message, `${dir}/.parts-`)
    await sandbox.close()
    t.equal(asset.files.length, 5)
    t.ok(error.message.endsWith(`every byte of it is kept: ${listOf(asset.files)}`))
    t.ok((await joined(asset.files)).equals(body))
  })

  t.test('one that grows full in the middle of it is left with all that was taken in', async t => {
    const dir = smallDisk(t, 1_100_000)
    const sandbox = await boot(t, { dir })
    const asset = mp4(sandbox)
    const body = randomBytes(2 * PART + 100_000)
    const sizes = [50_000, 50_000, PART, PART]
    const ends = sizes.map((_, index) => sizes.slice(0, index + 1).reduce((a, b) => a + b))
    const parts = sizes.map((size, index) => body.subarray(Number(ends[index]) - size, ends[index]))
    const { urls } = await register(
      sandbox,
      asset.id,
      sizes.map((size, index) => [index + 1, size, index === 3] as const),
      { asset_filesize: body.length },
    )
    for (const index of [0, 1, 2]) await put(String(urls[index]), parts[index] ?? '')
    // Room for the last part, and then for a small one to be taken in, but for no large one.
    await writeFile(join(dir, 'other'), Buffer.alloc(1_100_000 - body.length - 100_000))
    await put(String(urls[3]), parts[3] ?? '')
    t.equal((await failureOf(asset)).code, 'ENOSPC')
    await sandbox.close()
    t.strictSame(
      asset.files.map(file => file.slice(-5)),
      ['00001', '00003', '00004'],
    )
    t.equal(dirname(asset.files[0] ?? ''), dirname(asset.files[2] ?? ''))
    t.ok((await joined(asset.files)).equals(body))
  })
})
