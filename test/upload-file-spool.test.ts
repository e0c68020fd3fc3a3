/**
 * `uploadFile` with a spool: what was cut off goes on, and what stands on the disk is no more than it needs.
 */
import { writeFileSync } from 'node:fs'
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { resumeUploads, uploadFile } from '../lib/index.ts'
import type { Sandbox, SandboxOptions } from '../lib/sandbox/index.ts'
import { lineOf } from '../lib/spool/journal.ts'
import { resumeV4Folder, waitingFiles } from '../lib/v4/resume.ts'
import { clientFor, folderFor, sha256, shown, until } from './support/sandboxes.ts'
import { failureOf } from './support/servers.ts'
import { noSmallDisk, smallDisk } from './support/small-disk.ts'
import { fileFor, listenTo, onlyFile, putsOf, v4ClientFor, v4For } from './support/v4.ts'

/** A file of ten slices, and an upload of it with a spool. */
const setUp = async (t: Test, options: SandboxOptions = {}) => {
  const sandbox = await v4For(t, options)
  const client = v4ClientFor(t, sandbox)
  const { path, data } = await fileFor(t, 9_500)
  const dir = await folderFor(t)
  const { folderId } = sandbox.v4
  const listener = listenTo()
  const job = { client, folderId, file: path, spool: { dir }, ...listener.told }
  return { ...{ sandbox, client, path, data, dir, folderId, job }, ...listener }
}

/** The same, cut off by an abort once some of its parts are stored. Its folder, and those parts. */
const cutOff = async (t: Test, options: SandboxOptions = {}) => {
  const all = await setUp(t, options)
  const { sandbox, job, dir, of } = all
  sandbox.faults.add({ on: 'put', part: 7, do: { hang: 'answer' } })
  const controller = new AbortController()
  const { signal } = controller
  const failing = failureOf(uploadFile({ ...job, concurrency: 2, signal }))
  await until(() => of('part').length === 9, 'all but part 7')
  controller.abort()
  const error = await failing
  const [name = ''] = await readdir(dir)
  return { ...all, error, folder: join(dir, name), fileId: onlyFile(sandbox).id }
}

/** The file is there, whole, and alone, and nothing is left in the spool. */
const isWhole = async (t: Test, sandbox: Sandbox, data: Buffer, dir: string) => {
  const file = onlyFile(sandbox)
  await file.whenUploaded()
  t.equal(file.sha256, sha256(data))
  t.strictSame(await readdir(dir), [], 'nothing is left in the spool')
  return file
}

const entriesIn = async (folder: string): Promise<{ t: string; n?: number }[]> =>
  (await readFile(join(folder, 'journal'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line.slice(9)))

/** Makes a journal of other lines. */
const rewrite = async (folder: string, entries: readonly object[]) => {
  const lines = entries.map(entry => lineOf(entry, 0))
  await writeFile(join(folder, 'journal'), lines.join(''))
}

t.test('an upload that is cut off goes on: the same file, and no part twice', async t => {
  const { sandbox, job, error, folder, fileId, data, dir, of, progress } = await cutOff(t)
  t.match(error, { name: 'AbortError', message: new RegExp(`is noted in ${folder}`) })
  const before = putsOf(sandbox)
  t.equal(before.length, 9)
  t.match(await waitingFiles(dir), [
    {
      folder,
      path: job.file,
      bytes: 9_500,
      fileId,
      partsStored: 9,
      parts: 10,
      lockedBy: undefined,
    },
  ])
  const known = progress.length
  const done = await uploadFile(job)
  t.equal(done.fileId, fileId)
  t.strictSame(putsOf(sandbox), [...before, 7])
  t.match(progress[known], { bytesUploaded: 9_500 })
  t.strictSame(of('warning'), [])
  await isWhole(t, sandbox, data, dir)
})

t.test('so it does by its folder alone', async t => {
  const { sandbox, client, folder, fileId, data, dir } = await cutOff(t)
  t.match(await resumeV4Folder(folder, { client }), { fileId, bytes: 9_500, parts: 10 })
  await isWhole(t, sandbox, data, dir)
  t.equal(await resumeV4Folder(folder, { client }), undefined, 'there is nothing any more')
  t.strictSame(await readdir(dir), [])
})

t.test(
  'only URLs are on the disk that are still needed, and nobody else can read them',
  async t => {
    const { sandbox, job, error, folder, dir } = await cutOff(t)
    t.strictSame((await readdir(folder)).sort(), ['journal', 'lock', 'urls'])
    t.equal((await stat(folder)).mode & 0o777, 0o700)
    t.equal((await stat(join(folder, 'urls'))).mode & 0o777, 0o600)
    t.match(await readFile(join(folder, 'urls'), 'utf8'), 'X-Amz-Signature')
    const journal = await readFile(join(folder, 'journal'), 'utf8')
    t.notMatch(journal, 'X-Amz')
    t.notMatch(journal, sandbox.token)
    t.notMatch(shown(error), 'X-Amz')
    await writeFile(join(folder, 'urls'), '{"k":1,"slices":[{"url":"SECRET"}]}')
    const damage = await failureOf(uploadFile(job))
    t.match(damage, { code: 'ERR_SPOOL_DAMAGED', path: join(folder, 'urls') })
    t.notMatch(shown(damage), 'SECRET')
    t.equal(sandbox.v4.files.length, 1)
    t.strictSame(await readdir(dir), [folder.split('/').at(-1)], 'and nothing is deleted')
  },
)

t.test('two at once: the second is refused', async t => {
  const { sandbox, job, dir, data } = await setUp(t, { latency: { storage: 30 } })
  const first = uploadFile(job)
  await until(() => sandbox.stats.putsInFlight > 0)
  const [name = ''] = await readdir(dir)
  t.match(await failureOf(uploadFile(job)), { code: 'ERR_SPOOL_IN_USE' })
  const resuming = resumeV4Folder(join(dir, name), { client: job.client })
  t.match(await failureOf(resuming), { code: 'ERR_SPOOL_IN_USE' })
  await first
  await isWhole(t, sandbox, data, dir)
})

t.test('what cannot go on is deleted, and created anew', async t => {
  type Cut = Awaited<ReturnType<typeof cutOff>>
  const cases: Readonly<Record<string, readonly [(cut: Cut) => Promise<void>, string]>> = {
    'URLs past their life': [
      async ({ folder }) => {
        const day = 24 * 3_600_000
        const entries = await entriesIn(folder)
        await rewrite(
          folder,
          entries.map(entry => ('at' in entry ? { ...entry, at: Date.now() - day } : entry)),
        )
      },
      'URLS_EXPIRED',
    ],
    'no URLs': [({ folder }) => rm(join(folder, 'urls')), 'URLS_EXPIRED'],
    'gone at Frame.io': [({ client, fileId }) => client.deleteFile(fileId), 'BEGUN_ANEW'],
    'another file': [
      async ({ path, data }) => {
        data.reverse()
        await writeFile(path, data)
      },
      'BEGUN_ANEW',
    ],
    touched: [({ path }) => utimes(path, 5, 5), 'BEGUN_ANEW'],
  }
  for (const [name, [change, code]] of Object.entries(cases)) {
    const cut = await cutOff(t)
    const { sandbox, job, fileId, data, dir, of, progress } = cut
    await change(cut)
    const at = progress.length
    const done = await uploadFile(job)
    t.not(done.fileId, fileId, name)
    t.equal(putsOf(sandbox, done.fileId).length, 10, `${name}: all of it is sent again`)
    t.match(of('warning'), [{ code, message: new RegExp(fileId) }], name)
    t.equal(of('warning').length, 1)
    t.ok(progress.length > at)
    await isWhole(t, sandbox, data, dir)
  }
})

t.test('a file that is another is not finished by its folder alone', async t => {
  const { sandbox, client, folder, path, fileId } = await cutOff(t)
  await appendFile(path, 'more')
  const error = await failureOf(resumeV4Folder(folder, { client }))
  t.match(error, { code: 'ERR_SOURCE_REPLACED', path })
  t.equal(onlyFile(sandbox).id, fileId)
  t.ok((await stat(folder)).isDirectory(), 'nothing is deleted')
})

t.test('a file that is away for a while leaves all as it is', async t => {
  const { sandbox, job, folder, path, data, dir, fileId } = await cutOff(t)
  await rm(path)
  t.match(await failureOf(uploadFile(job)), { code: 'ERR_SOURCE_FAILED' })
  t.ok((await stat(join(folder, 'urls'))).isFile())
  t.equal(onlyFile(sandbox).id, fileId)
  await writeFile(path, data)
  t.not((await uploadFile(job)).fileId, fileId, 'and as another it is begun anew')
  await isWhole(t, sandbox, data, dir)
})

t.test('wherever it was cut off, one file is there in the end', async t => {
  type Edit = (entries: { t: string; n?: number }[]) => object[]
  const upTo =
    (kind: string): Edit =>
    entries =>
      entries.slice(0, entries.findIndex(entry => entry.t === kind) + 1)
  const cases: Readonly<Record<string, readonly [Edit, isSame: boolean, keepsUrls: boolean]>> = {
    'before it was asked for': [upTo('v4'), false, false],
    'before the answer was noted': [upTo('creating'), false, false],
    'between the URLs and the file': [upTo('creating'), true, true],
    'before a part was noted': [upTo('created'), true, true],
    'when all was noted': [entries => [...entries, { t: 'stored', k: 1, n: 7 }], true, true],
    'when it was over': [
      entries => [...entries, { t: 'stored', k: 1, n: 7 }, { t: 'done' }],
      true,
      false,
    ],
  }
  for (const [name, [edit, isSame, keepsUrls]] of Object.entries(cases)) {
    const { sandbox, job, folder, fileId, data, dir } = await cutOff(t)
    await rewrite(folder, edit(await entriesIn(folder)))
    if (!keepsUrls) await rm(join(folder, 'urls'))
    const isStored = name.startsWith('when')
    // What was not noted was sent all the same.
    if (name === 'before it was asked for') await job.client.deleteFile(fileId)
    // Another process would have another client.
    const done = await uploadFile({ ...job, client: v4ClientFor(t, sandbox) })
    t.equal(done.fileId === fileId, isSame, name)
    t.equal(done.bytes, 9_500)
    t.equal(sandbox.v4.files.length, 1, name)
    if (isStored) t.strictSame(await readdir(dir), [])
    else await isWhole(t, sandbox, data, dir)
  }
})

t.test('the last receipt that was not noted is not asked for again', async t => {
  const { sandbox, job, folder, fileId, data, dir } = await cutOff(t)
  const copy = await readFile(join(folder, 'journal'))
  const urls = await readFile(join(folder, 'urls'))
  await uploadFile(job)
  const puts = putsOf(sandbox).length
  await mkdir(folder)
  await writeFile(join(folder, 'journal'), copy)
  await writeFile(join(folder, 'urls'), urls)
  await onlyFile(sandbox).whenUploaded()
  t.equal((await uploadFile(job)).fileId, fileId)
  t.equal(putsOf(sandbox).length, puts)
  await isWhole(t, sandbox, data, dir)
})

t.test(
  'a journal that was torn is read as far as it holds, and one that rotted is refused',
  async t => {
    const torn = await cutOff(t)
    await truncate(
      join(torn.folder, 'journal'),
      (await stat(join(torn.folder, 'journal'))).size - 3,
    )
    t.equal((await uploadFile(torn.job)).fileId, torn.fileId)
    await isWhole(t, torn.sandbox, torn.data, torn.dir)
    for (const text of [
      '{"t":"v4"}',
      lineOf({ t: 'v4', version: 2 }, 0),
      lineOf({ t: 'open' }, 0),
    ]) {
      const { sandbox, job, folder, dir } = await cutOff(t)
      const good = await readFile(join(folder, 'journal'), 'utf8')
      const [first = ''] = good.split('\n')
      await writeFile(join(folder, 'journal'), good.replace(`${first}\n`, text.padEnd(text.length)))
      const error = await failureOf(uploadFile(job))
      t.match(error, { code: 'ERR_SPOOL_DAMAGED', path: join(folder, 'journal') })
      t.match(await waitingFiles(dir), [{ error: { code: 'ERR_SPOOL_DAMAGED' } }])
      t.equal(sandbox.v4.files.length, 1, 'nothing is deleted')
    }
  },
)

t.test('a record of another account, or in another place, is refused', async t => {
  const { folder, job } = await cutOff(t)
  const other = await v4For(t)
  const client = v4ClientFor(t, other)
  const error = await failureOf(resumeV4Folder(folder, { client }))
  t.match(error, { code: 'ERR_INVALID_OPTION', option: 'client', message: /origin/ })
  t.equal(other.requests.length, 0)
  await uploadFile(job)
})

t.test('resumeUploads leaves it alone, and so do names that are not ours', async t => {
  const { sandbox, job, folder, dir, data } = await cutOff(t)
  for await (const one of resumeUploads({ dir, client: clientFor(t, sandbox) })) t.fail(shown(one))
  await writeFile(join(folder, 'notes.txt'), 'mine')
  await mkdir(join(dir, 'v4-notes'))
  t.equal((await waitingFiles(dir)).length, 1)
  await uploadFile(job)
  t.strictSame((await readdir(folder)).sort(), ['notes.txt'])
  t.equal(onlyFile(sandbox).parts.length, 10)
  t.ok(data)
})

t.test('a refusal to create leaves nothing in the spool', async t => {
  const { sandbox, job, dir } = await setUp(t)
  sandbox.faults.add({ on: 'create', do: { status: 403 } })
  t.match(await failureOf(uploadFile(job)), { code: 'ERR_FORBIDDEN' })
  t.strictSame(await readdir(dir), [])
  t.equal(sandbox.v4.files.length, 0)
})

t.test('a spool that cannot be made is said in the words of its option', async t => {
  const { sandbox, job, path } = await setUp(t)
  const error = await failureOf(uploadFile({ ...job, spool: { dir: path } }))
  t.match(error, { code: 'ERR_INVALID_OPTION', option: 'spool.dir' })
  t.equal(sandbox.requests.length, 0)
})

const fill = (path: string) => {
  try {
    writeFileSync(path, Buffer.alloc(2 ** 20))
  } catch {
    // That is what it is for.
  }
}

t.test('a disk that fills while parts are sent ends nothing', { skip: noSmallDisk }, async t => {
  const { sandbox, job, of } = await setUp(t)
  // So many that their lines take more than a page.
  const { path, data } = await fileFor(t, 150_000)
  const dir = smallDisk(t, 256 * 1024)
  const filler = join(dir, 'filler')
  const onEvent: typeof job.onEvent = event => {
    job.onEvent(event)
    // Until the disk takes no more.
    if (event.type === 'part' && event.number === 1) fill(filler)
    return undefined
  }
  await uploadFile({ ...job, file: path, spool: { dir }, onEvent })
  const file = onlyFile(sandbox)
  await file.whenUploaded()
  t.equal(file.sha256, sha256(data))
  t.match(of('warning'), [{ code: 'SPOOL_FAILED' }])
  t.equal(of('warning').length, 1)
})
