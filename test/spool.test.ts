/**
 * The spool through the public API, on a real disk.
 */
import {
  cp,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import {
  type Resumed,
  type ResumedUpload,
  type ResumeOptions,
  resumeUploads,
} from '../lib/index.ts'
import { realDisk } from '../lib/spool/disk.ts'
import { listUploads } from '../lib/spool/list.ts'
import {
  bytes,
  clientFor,
  endOf,
  folderFor,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  until,
} from './support/sandboxes.ts'
import { within } from './support/servers.ts'
import { noSmallDisk, smallDisk } from './support/small-disk.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** A spool of a folder of its own, without a reserve of the disk. */
const setUp = async (t: Teardown) => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dir = await folderFor(t)
  return { sandbox, dir, spool: { dir, keepFree: 0, syncEvery: 20 } }
}

const resumeAll = async (options: ResumeOptions): Promise<Resumed[]> => {
  const all: Resumed[] = []
  for await (const one of resumeUploads(options)) all.push(one)
  return all
}

/** All that lies in a folder, at whatever depth. */
const filesIn = async (dir: string): Promise<string[]> =>
  (await readdir(dir, { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))

/** An upload that is cut off after so many bytes, all of them durable, while nothing gets through. */
const cutOff = async (t: Teardown, size: number) => {
  const ground = await setUp(t)
  const { sandbox, spool } = ground
  const fault = { on: 'put', times: Infinity, do: { hang: 'answer' } } as const
  sandbox.faults.add(fault)
  const { upload, asset } = smallUpload(sandbox, { spool })
  const data = bytes(size)
  upload.write(data)
  await until(() => upload.progress.bytesDurable === size, 'all to be durable')
  upload.destroy(new Error('cut off'))
  await endOf(upload)
  sandbox.faults.clear()
  return {
    ...ground,
    asset,
    data,
    client: clientFor(t, sandbox),
    folder: join(spool.dir, asset.id),
  }
}

t.test('an upload with a spool is whole, and leaves nothing behind', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  for (const size of [1, 999, 1_000, 1_001, 5_000, 23_456]) {
    const { upload, asset, seen } = smallUpload(sandbox, { spool })
    const data = bytes(size)
    upload.end(data)
    t.equal(await endOf(upload), undefined)
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(data), `${size} bytes`)
    t.match(upload.progress, { bytesUploaded: size, bytesDurable: size })
    t.strictSame(seen.warning, [])
    t.strictSame(await readdir(dir), [])
  }
})

t.test('an outage longer than memory does not hold the source', async t => {
  const { sandbox, spool } = await setUp(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  const { upload, asset, seen } = smallUpload(sandbox, {
    spool,
    memoryLimit: 4_000,
    retry: { giveUpAfter: 300, minDelay: 1, maxDelay: 5 },
  })
  const data = bytes(200_000)
  for (let at = 0; at < data.length; at += 2_000) {
    await new Promise(resolve => upload.write(data.subarray(at, at + 2_000), resolve))
  }
  await until(() => upload.progress.bytesDurable === data.length, 'all to be durable')
  await new Promise(resolve => setTimeout(resolve, 1_000))
  t.equal(upload.progress.bytesUploaded, 0)
  t.equal(upload.errored, null, 'an outage of more than giveUpAfter is no failure')
  sandbox.faults.clear()
  upload.end()
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.strictSame(seen.warning, [])
})

t.test('with durable: false the disk takes what memory cannot hold, and nothing else', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const quiet = smallUpload(sandbox, { spool: { ...spool, durable: false } })
  let most = 0
  quiet.upload.on('part', () => {
    most = Math.max(most, quiet.upload.progress.bytesSpooled)
  })
  quiet.upload.end(bytes(20_000))
  t.equal(await endOf(quiet.upload), undefined)
  t.equal(most, 0, 'where memory holds all')
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  const { upload, asset, seen } = smallUpload(sandbox, {
    spool: { ...spool, durable: false },
    memoryLimit: 8_000,
    retry: { giveUpAfter: 300, minDelay: 1, maxDelay: 5 },
  })
  const data = bytes(100_000)
  for (let at = 0; at < data.length; at += 2_000) {
    await new Promise(resolve => upload.write(data.subarray(at, at + 2_000), resolve))
  }
  t.ok(upload.progress.bytesSpooled > 80_000, `${upload.progress.bytesSpooled} bytes on the disk`)
  t.match(upload.progress, { bytesUploaded: 0, bytesDurable: 0 })
  sandbox.faults.clear()
  upload.end()
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.strictSame(seen.warning, [])
  t.strictSame(await readdir(dir), [])
})

t.test('after the end of a recording the budget of retries counts again', async t => {
  const { sandbox, spool, dir } = await setUp(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  const { upload, asset } = smallUpload(sandbox, { spool })
  upload.end(bytes(5_000))
  const error = (await endOf(upload)) as Error & { path: string }
  t.match(error, { code: 'ERR_NETWORK', message: /resumeUploads/, path: join(dir, asset.id) })
  t.ok((await readdir(join(dir, asset.id))).includes('00005.part'), 'nothing was deleted')
})

t.test('an upload that was cut off is finished', async t => {
  const { asset, data, client, dir } = await cutOff(t, 12_345)
  t.equal(asset.status, 'created')
  t.strictSame(await resumeAll({ dir, client }), [{ assetId: asset.id, bytes: 12_345, parts: 13 }])
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.strictSame(await readdir(dir), [])
  t.strictSame(await resumeAll({ dir, client }), [], 'and there is nothing left to do')
})

t.test("a folder that cannot be looked into, such as another user's, is told of", async t => {
  const { asset, client, dir, folder } = await cutOff(t, 2_500)
  const { list } = realDisk
  t.teardown(() => Object.assign(realDisk, { list }))
  const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
  Object.assign(realDisk, {
    list: async (path: string) => (path === folder ? Promise.reject(denied) : list(path)),
  })
  t.match(await listUploads(dir), [{ assetId: asset.id, folder, error: denied }])
  const message = /cannot be read or written: EACCES: permission denied\. Nothing was deleted/
  t.match(await resumeAll({ dir, client }), [
    { assetId: asset.id, error: { code: 'ERR_SPOOL_DAMAGED', path: folder, message } },
  ])
  Object.assign(realDisk, { list })
  t.match(await resumeAll({ dir, client }), [{ bytes: 2_500 }])
})

t.test('one that ended exactly with a part has that for its final one', async t => {
  const { asset, data, client, dir } = await cutOff(t, 5_000)
  t.match(await resumeAll({ dir, client }), [{ bytes: 5_000, parts: 5 }])
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

t.test('a last part that others once followed is no final one, where they are lost', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { upload, asset } = smallUpload(sandbox, { spool: { ...spool, maxBytes: 2_000 } })
  upload.write(bytes(2_500))
  await until(() => asset.parts.length === 2, 'the second part to be registered')
  // As it lies there when the process is killed.
  const killed = join(dir, 'killed')
  await cp(join(dir, asset.id), join(killed, asset.id), { recursive: true })
  upload.destroy()
  await endOf(upload)
  sandbox.faults.clear()
  const client = clientFor(t, sandbox)
  for (const attempt of ['first', 'second']) {
    const [one] = await resumeAll({ dir: killed, client })
    t.match(
      one,
      {
        assetId: asset.id,
        error: {
          code: 'ERR_SPOOL_INCOMPLETE',
          message: /part 2 .* as the final one .*others follow.*from byte 2000 on.*stays/,
          partNumber: 3,
          from: 2_000,
          cause: { code: 'ERR_REQUEST_REJECTED' },
        },
      },
      attempt,
    )
  }
  t.equal(asset.status, 'created')
  t.ok((await readdir(join(killed, asset.id))).includes('00002.part'), 'and it stays')
})

t.test(
  'where all had arrived and is refused now, the asset is asked; a device says it may not',
  async t => {
    for (const device of [undefined, { clientVersion: '1.0.0' }]) {
      const { sandbox, dir, spool } = await setUp(t)
      sandbox.faults.add({ on: 'put', times: Infinity, do: { loseAnswer: true } })
      const { upload, asset } = smallUpload(sandbox, { spool, device })
      upload.end(bytes(3_500))
      t.match(await endOf(upload), { code: 'ERR_NETWORK' })
      await asset.whenUploaded()
      sandbox.faults.clear()
      sandbox.faults.add({ on: 'register', times: Infinity, do: { status: 400 } })
      const client = clientFor(t, sandbox, { device })
      const [one] = await resumeAll({ dir, client })
      if (!device) {
        t.match(one, { assetId: asset.id, bytes: 3_500, parts: 4 })
        t.strictSame(await readdir(dir), [])
        continue
      }
      const path = join(dir, asset.id)
      const message =
        /400.*a device may not read assets.*kept in .*look at the asset.*remove the folder/
      t.match(one, { error: { code: 'ERR_REQUEST_REJECTED', statusCode: 400, message, path } })
      t.ok((await readdir(path)).includes('00004.part'))
    }
  },
)

t.test("with 'keep' what can be sent is sent, and the recording stays open", async t => {
  const { asset, data, client, dir } = await cutOff(t, 5_500)
  t.match(await resumeAll({ dir, client, onInterrupted: 'keep' }), [{ bytes: 5_500, parts: 6 }])
  t.match(asset, { status: 'created', storedBytes: 5_000 })
  t.match(await resumeAll({ dir, client }), [{ bytes: 5_500, parts: 6 }])
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

t.test('a resume that fails leaves all as it was, and the next one finishes', async t => {
  const { sandbox, asset, data, client, dir } = await cutOff(t, 8_000)
  sandbox.faults.add({ on: 'put', part: 4, times: Infinity, do: { reset: 'during' } })
  t.match(await resumeAll({ dir, client }), [{ assetId: asset.id, error: { code: 'ERR_NETWORK' } }])
  sandbox.faults.clear()
  t.match(await resumeAll({ dir, client }), [{ bytes: 8_000 }])
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

t.test('a resume has as many lanes as it is given', async t => {
  const { sandbox, dir, client } = await cutOff(t, 8_000)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { delay: 20 } })
  let most = 0
  const onUpload = (upload: ResumedUpload) =>
    void upload.on('part', () => {
      most = Math.max(most, upload.progress.partsInFlight)
    })
  t.match(await resumeAll({ dir, client, concurrency: 1, onUpload }), [{ bytes: 8_000 }])
  t.ok(most <= 1, `${most} others in flight`)
})

t.test('a resume that is aborted takes up no more of what is left', async t => {
  const { asset, dir, client } = await cutOff(t, 8_000)
  const aborting = new AbortController()
  let resumed: ResumedUpload | undefined
  const onUpload = (upload: ResumedUpload) => {
    resumed = upload
    aborting.abort()
  }
  const all = await resumeAll({ dir, client, onUpload, signal: aborting.signal })
  t.match(all, [{ assetId: asset.id, error: { name: 'AbortError' } }])
  t.equal(resumed?.progress.partsFilled, 0)
})

t.test('one upload that cannot be finished does not keep the next', async t => {
  const { sandbox, dir, spool, client } = await cutOff(t, 3_000)
  const fault = { on: 'put', times: Infinity, do: { hang: 'answer' } } as const
  sandbox.faults.add(fault)
  const { upload, asset } = smallUpload(sandbox, { spool })
  upload.write(bytes(2_500))
  await until(() => upload.progress.bytesDurable === 2_500)
  upload.destroy()
  await endOf(upload)
  sandbox.faults.clear()
  await mkdir(join(dir, 'lost+found'))
  await truncate(join(dir, asset.id, '00002.part'), 10)
  const all = await resumeAll({ dir, client })
  t.equal(all.length, 2, 'what is none of ours is left alone')
  t.match(
    all.find(one => 'error' in one),
    { assetId: asset.id, error: { code: 'ERR_SPOOL_DAMAGED' } },
  )
  t.match(
    all.find(one => 'bytes' in one),
    { bytes: 3_000 },
  )
})

t.test(
  'what is damaged or missing is said, with file and offset, and nothing is deleted',
  async t => {
    type Folder = Awaited<ReturnType<typeof cutOff>>
    const damages: [string, (upload: Folder) => Promise<unknown>, object][] = [
      [
        'a part that is missing',
        ({ folder }) => unlink(join(folder, '00002.part')),
        { code: 'ERR_SPOOL_INCOMPLETE', from: 1_000, to: 2_000 },
      ],
      [
        'a part with other bytes',
        ({ folder }) => writeFile(join(folder, '00003.part'), bytes(1_000)),
        { code: 'ERR_SPOOL_DAMAGED', path: /00003\.part$/ },
      ],
      [
        'the last whole part, with other bytes',
        ({ folder }) => writeFile(join(folder, '00004.part'), bytes(1_000)),
        { code: 'ERR_SPOOL_DAMAGED', path: /00004\.part$/ },
      ],
      [
        'a journal whose beginning has rotted',
        async ({ folder }) => {
          const journal = await readFile(join(folder, 'journal'))
          journal[30] = 0
          await writeFile(join(folder, 'journal'), journal)
        },
        { code: 'ERR_SPOOL_DAMAGED', path: /journal$/, offset: 0 },
      ],
      [
        'parts without a journal',
        ({ folder }) => unlink(join(folder, 'journal')),
        { code: 'ERR_SPOOL_DAMAGED' },
      ],
    ]
    for (const [name, damage, is] of damages) {
      const upload = await cutOff(t, 4_500)
      await damage(upload)
      const before = (await readdir(upload.folder)).filter(file => file.endsWith('.part')).length
      const { dir, client } = upload
      t.match(await resumeAll({ dir, client }), [{ assetId: upload.asset.id, error: is }], name)
      t.equal(upload.asset.status, 'created', 'and nothing is finalised')
      const after = (await readdir(upload.folder)).filter(file => file.endsWith('.part')).length
      t.ok(
        after >= Math.min(before, 1) &&
          Math.ceil(upload.asset.storedBytes / 1_000) + after >= before,
        name,
      )
    }
  },
)

t.test('an upload of which no byte came is no upload', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const { upload } = smallUpload(sandbox, { spool })
  upload.end()
  t.match(await endOf(upload), { code: 'ERR_EMPTY_STREAM' })
  t.strictSame(await readdir(dir), [])
  const assetId = 'a1b2c3d4-0000-4000-8000-00000000000f'
  await mkdir(join(dir, assetId))
  await writeFile(join(dir, assetId, 'lock'), '')
  const client = clientFor(t, sandbox)
  t.strictSame(await resumeAll({ dir, client }), [{ assetId, bytes: 0, parts: 0 }])
  t.strictSame(await readdir(dir), [])
})

t.test('what other programs have under the names of a spool is left alone', async t => {
  const { sandbox, dir } = await setUp(t)
  const client = clientFor(t, sandbox)
  const theirs = [
    ['apt', 'lock', ''],
    ['postbox', 'lock', '{"pid":1}'],
    ['diary', 'journal', 'Monday: rain.\n'],
    ['database', 'journal', ''],
    ['models', '00001.part', 'a wheel'],
  ] as const
  for (const [folder, name, text] of theirs) {
    await mkdir(join(dir, folder), { recursive: true })
    await writeFile(join(dir, folder, name), text)
  }
  await mkdir(join(dir, 'folders', 'journal'), { recursive: true })
  t.strictSame(await resumeAll({ dir, client }), [])
  for (const [folder, name, text] of theirs) {
    t.equal(await readFile(join(dir, folder, name), 'utf8'), text, `${folder}/${name}`)
  }
})

t.test('an asset may be called otherwise than Frame.io calls it: its journal tells', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const { upload } = smallUpload(sandbox, { spool, assetId: 'of-a-test' })
  upload.write(bytes(10))
  await until(() => upload.progress.bytesDurable === 10)
  upload.destroy(new Error('cut off'))
  await endOf(upload)
  const client = clientFor(t, sandbox)
  t.match(await resumeAll({ dir, client }), [{ assetId: 'of-a-test', error: Error }])
})

t.test(
  'an empty folder is an upload that was cut off at once, if it is called like one',
  async t => {
    const { sandbox, dir, spool } = await setUp(t)
    const client = clientFor(t, sandbox)
    const { id: assetId } = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
    const others = ['lost+found', 'movies', assetId.slice(1)]
    for (const name of [...others, assetId]) await mkdir(join(dir, name))
    await writeFile(join(dir, 'a1b2c3d4-0000-4000-8000-00000000000f'), 'no folder')
    t.strictSame(await resumeAll({ dir, client }), [{ assetId, bytes: 0, parts: 0 }])
    const left = await readdir(dir)
    t.strictSame(left.sort(), [...others, 'a1b2c3d4-0000-4000-8000-00000000000f'].sort())
    await mkdir(join(dir, assetId))
    const { upload } = smallUpload(sandbox, { spool, assetId })
    upload.end(bytes(10))
    t.equal(await endOf(upload), undefined, 'and a take goes on in it')
  },
)

/** An upload in an outage: what it has is durable, and in memory no more, but for the last parts. */
const onDisk = async (t: Teardown, durable = true) => {
  const ground = await setUp(t)
  const { sandbox, dir } = ground
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  const spool = { ...ground.spool, durable }
  const { upload, asset, seen } = smallUpload(sandbox, { spool, memoryLimit: 4_000 })
  const data = bytes(30_000)
  for (let at = 0; at < data.length; at += 1_000) {
    await new Promise(resolve => upload.write(data.subarray(at, at + 1_000), resolve))
  }
  if (durable) await until(() => upload.progress.bytesDurable === data.length)
  return { sandbox, upload, asset, seen, data, file: join(dir, asset.id, '00009.part') }
}

t.test('what has rotted on the disk before it was sent is not sent', async t => {
  for (const durable of [true, false]) {
    const { sandbox, upload, asset, file, data } = await onDisk(t, durable)
    const rotten = await readFile(file)
    rotten.writeUInt8(rotten.readUInt8(123) ^ 4, 123)
    await writeFile(file, rotten)
    sandbox.faults.clear()
    upload.end()
    t.match(await endOf(upload), {
      code: 'ERR_SPOOL_DAMAGED',
      message: /damaged at byte 0: .*Nothing was deleted/,
      partNumber: 9,
      path: file,
      offset: 0,
    })
    t.ok(rotten.equals(await readFile(file)), 'nothing was deleted')
    t.equal(asset.status, 'created')
    t.notOk(asset.parts.find(({ number }) => number === 9)?.stored)
    t.ok(data.length > asset.storedBytes)
  }
})

t.test('what was read wrong once is read again', async t => {
  const { sandbox, upload, asset, file, data } = await onDisk(t)
  const right = await readFile(file)
  await writeFile(file, bytes(1_000))
  upload.on('retry', ({ error }) => {
    if (error.code === 'ERR_SPOOL_DAMAGED') void writeFile(file, right)
  })
  sandbox.faults.clear()
  upload.end()
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

t.test('a disk that cannot be read is no outage, while the network has one', async t => {
  const { upload, seen, file } = await onDisk(t)
  await unlink(file)
  await mkdir(file) // Can be opened, and gives an error for every read.
  await until(() => seen.warning.length > 0, 'the warning')
  t.match(seen.warning, [{ code: 'UPLOAD_FAILED', message: /EISDIR/ }])
  upload.end()
  const message = /00009\.part cannot be read at byte 0: EISDIR.*Nothing was deleted/
  t.match(await endOf(upload), { code: 'ERR_SPOOL_DAMAGED', message, path: file, offset: 0 })
})

t.test('fragments that memory could not hold are called that, and keep a new take off', async t => {
  const { sandbox, upload, asset, file, data } = await onDisk(t, false)
  const folder = dirname(file)
  const dir = dirname(folder)
  upload.destroy()
  await endOf(upload)
  const before = await readdir(folder)
  t.ok(before.includes('00009.part'))
  const client = clientFor(t, sandbox)
  const message = new RegExp(`${folder} holds fragments .*nothing of it can be finished.*by hand`)
  const incomplete = { code: 'ERR_SPOOL_INCOMPLETE', message, path: folder }
  t.match(await resumeAll({ dir, client }), [{ assetId: asset.id, error: incomplete }])
  t.match(await readFile(join(folder, 'overflow'), 'utf8'), message)
  for (const durable of [true, false]) {
    const spool = { dir, keepFree: 0, durable }
    const { upload: next } = smallUpload(sandbox, { spool, assetId: asset.id })
    next.write(data.subarray(0, 10))
    t.match(await endOf(next), { code: 'ERR_SPOOL_IN_USE', message })
  }
  t.strictSame((await readdir(folder)).sort(), before.sort(), 'and nothing was deleted')
})

t.test('with durable: false nothing stays where nothing lay on the disk', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { upload } = smallUpload(sandbox, { spool: { ...spool, durable: false } })
  await new Promise(resolve => upload.write(bytes(5_000), resolve))
  upload.destroy()
  await endOf(upload)
  t.strictSame(await readdir(dir), [])
})

t.test('a take with durable: false leaves an unfinished one of its asset as it is', async t => {
  const { sandbox, asset, data, client, dir, spool, folder } = await cutOff(t, 4_500)
  const before = await readdir(folder)
  const options = { spool: { ...spool, durable: false }, assetId: asset.id }
  const { upload } = smallUpload(sandbox, options)
  upload.write(bytes(10))
  t.match(await endOf(upload), { code: 'ERR_SPOOL_IN_USE' })
  t.strictSame(await readdir(folder), before)
  t.match(await resumeAll({ dir, client }), [{ bytes: 4_500 }])
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

t.test('two cannot work on one spool', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const first = smallUpload(sandbox, { spool })
  first.upload.write(bytes(1_500))
  await until(() => first.upload.progress.bytesDurable === 1_500)
  const client = clientFor(t, sandbox)
  const message = new RegExp(`process ${process.pid} `)
  t.match(await resumeAll({ dir, client }), [{ error: { code: 'ERR_SPOOL_IN_USE', message } }])
  const second = smallUpload(sandbox, { spool, assetId: first.asset.id })
  second.upload.write(bytes(10))
  t.match(await endOf(second.upload), { code: 'ERR_SPOOL_IN_USE' })
  first.upload.destroy()
  await endOf(first.upload)
  const third = smallUpload(sandbox, { spool, assetId: first.asset.id })
  third.upload.write(bytes(10))
  t.match(await endOf(third.upload), {
    code: 'ERR_SPOOL_IN_USE',
    message: /unfinished.*resumeUploads/,
  })
})

t.test('nothing secret is on the disk, and nobody else can read it', async t => {
  const { sandbox, dir, folder } = await cutOff(t, 5_500)
  const all = await filesIn(dir)
  t.ok(all.length > 5)
  for (const file of all) {
    const text = await readFile(file, 'latin1')
    t.notOk(text.includes(sandbox.token), file)
    t.notMatch(text, /X-Amz|https?:\/\/[^"]*\/(?!")/i, file)
    t.equal((await stat(file)).mode & 0o777, 0o600, file)
  }
  t.equal((await stat(folder)).mode & 0o777, 0o700)
})

t.test('a spool goes to no other Frame.io than the one it began with', async t => {
  const { asset, dir } = await cutOff(t, 1_500)
  const other = await sandboxFor(t, {}, SMALL)
  const [one] = await resumeAll({ dir, client: clientFor(t, other) })
  t.match(one, { assetId: asset.id, error: { code: 'ERR_INVALID_OPTION', option: 'client' } })
  t.equal(other.requests.length, 0)
})

t.test(
  'a refusal in the middle is a warning; the error comes with the end, and how to go on',
  async t => {
    const { sandbox, dir, spool } = await setUp(t)
    const { upload, asset, seen } = smallUpload(sandbox, { spool })
    const data = bytes(9_000)
    sandbox.faults.add({ on: 'register', times: 1, do: { status: 404 } })
    upload.write(data.subarray(0, 4_000))
    await until(() => seen.warning.length > 0, 'the warning')
    t.match(seen.warning, [{ code: 'UPLOAD_FAILED' }])
    upload.end(data.subarray(4_000))
    t.match(await endOf(upload), { code: 'ERR_ASSET_NOT_FOUND', message: /resumeUploads/ })
    t.match(await resumeAll({ dir, client: clientFor(t, sandbox) }), [{ bytes: 9_000 }])
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(data))
  },
)

t.test('an upload that failed lets go of its source when the disk is full', async t => {
  const { sandbox, spool } = await setUp(t)
  const options = { spool: { ...spool, maxBytes: 6_000 }, memoryLimit: 6_000 }
  const { upload, seen } = smallUpload(sandbox, options)
  sandbox.faults.add({ on: 'register', times: 1, do: { status: 404 } })
  upload.write(bytes(60_000))
  const error = await within(20_000, endOf(upload))
  t.match(error, { code: 'ERR_ASSET_NOT_FOUND' })
  t.match(seen.warning, [{ code: 'UPLOAD_FAILED' }, { code: 'SPOOL_FULL' }])
})

t.test('a client that is closed ends its uploads, with or without a spool', async t => {
  const { sandbox, spool } = await setUp(t)
  const client = clientFor(t, sandbox)
  const { upload, seen } = smallUpload(sandbox, { client, spool })
  upload.write(bytes(2_500))
  await until(() => upload.progress.bytesDurable === 2_500, 'all to be durable')
  await client.close()
  t.match(await endOf(upload), { code: 'ERR_CLIENT_CLOSED', message: /resumeUploads/ })
  t.strictSame(seen.warning, [])
})

t.test(
  'maxBytes: beyond it memory fills, and the disk is used again as parts are stored',
  async t => {
    const { sandbox, spool } = await setUp(t)
    sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
    const { upload, asset, seen } = smallUpload(sandbox, {
      spool: { ...spool, maxBytes: 6_000 },
      memoryLimit: 6_000,
      retry: { giveUpAfter: 60_000, minDelay: 1, maxDelay: 5 },
    })
    const data = bytes(60_000)
    upload.end(data)
    await until(() => seen.warning.length > 0, 'the warning')
    t.match(seen.warning, [{ code: 'SPOOL_FULL' }])
    t.ok(upload.progress.bytesSpooled <= 6_000, `${upload.progress.bytesSpooled}`)
    sandbox.faults.clear()
    t.equal(await endOf(upload), undefined)
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(data))
  },
)

t.test(
  'room that another program makes on a full disk is used, though all stands still',
  {
    skip: noSmallDisk,
  },
  async t => {
    for (const durable of [true, false]) {
      const { sandbox } = await setUp(t)
      const dir = smallDisk(t, 2 ** 20 + 512 * 1024)
      const others = join(dir, 'others')
      await writeFile(others, Buffer.alloc(durable ? 450 * 1024 : 2 ** 20 + 450 * 1024))
      sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
      const { upload, asset, seen } = smallUpload(sandbox, {
        spool: { dir, durable, keepFree: 0, syncEvery: 20 },
        memoryLimit: 60_000,
        retry: { giveUpAfter: 60_000, minDelay: 50, maxDelay: 100 },
      })
      let isHeld = false
      upload.on('stall', () => {
        isHeld = true
      })
      upload.on('resume', () => {
        isHeld = false
      })
      const data = bytes(110_000)
      upload.end(data)
      await until(() => isHeld && seen.warning.length > 0, 'the source to be held')
      await rm(others)
      await until(() => upload.progress.bytesReceived === data.length, 'all to be taken in')
      t.equal(upload.progress.bytesUploaded, 0)
      t.strictSame(
        seen.warning.map(({ code }) => code),
        ['SPOOL_FULL'],
      )
      sandbox.faults.clear()
      t.equal(await endOf(upload), undefined)
      await asset.whenUploaded()
      t.equal(asset.sha256, sha256(data))
    }
  },
)

t.test('a disk that is full goes on through memory', { skip: noSmallDisk }, async t => {
  const { sandbox } = await setUp(t)
  const dir = smallDisk(t, 2 ** 20 + 64 * 1024)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  const { upload, asset, seen } = smallUpload(sandbox, {
    spool: { dir, keepFree: 0, syncEvery: 20 },
    memoryLimit: 100_000,
    retry: { giveUpAfter: 60_000, minDelay: 1, maxDelay: 5 },
  })
  const data = bytes(150_000)
  upload.end(data)
  await until(() => seen.warning.length > 0, 'the warning')
  t.match(seen.warning, [{ code: 'SPOOL_FULL', message: /ENOSPC/ }])
  sandbox.faults.clear()
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.strictSame(await readdir(dir), [])
})

t.test('a folder that cannot be one is told by the name of its option', async t => {
  const { sandbox, dir } = await setUp(t)
  const file = join(dir, 'a file')
  await writeFile(file, '')
  for (const bad of [file, join(file, 'below'), '/proc/spool', join(dir, 'x'.repeat(300))]) {
    const { upload } = smallUpload(sandbox, { spool: { dir: bad, keepFree: 0 } })
    upload.end(bytes(10))
    t.match(await endOf(upload), { code: 'ERR_INVALID_OPTION', option: 'spool.dir' }, bad)
  }
  const client = clientFor(t, sandbox)
  const [failure] = await Promise.allSettled([resumeAll({ dir: file, client })])
  t.match(failure, { reason: { code: 'ERR_INVALID_OPTION', option: 'dir' } })
})

t.test('a disk that fails at the end of an upload does not hide why it ended', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const { upload } = smallUpload(sandbox, { spool })
  await new Promise(resolve => upload.write('', resolve))
  await rm(dir, { recursive: true })
  upload.destroy(new Error('of the test'))
  const error = await new Promise(resolve => upload.once('error', resolve))
  t.match(error, { message: 'of the test' })
})

t.test('bad options are told by name', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const rows: [unknown, string][] = [
    ['/tmp', 'spool'],
    [{}, 'spool.dir'],
    [{ dir: '' }, 'spool.dir'],
    [{ dir: '/tmp', durable: 1 }, 'spool.durable'],
    [{ dir: '/tmp', maxBytes: -1 }, 'spool.maxBytes'],
    [{ dir: '/tmp', keepFree: '1GB' }, 'spool.keepFree'],
    [{ dir: '/tmp', syncEvery: 0 }, 'spool.syncEvery'],
    [{ dir: '/tmp', folder: 1 }, 'spool.folder'],
  ]
  for (const [spool, option] of rows) {
    t.throws(() => smallUpload(sandbox, { spool } as never), { code: 'ERR_INVALID_OPTION', option })
  }
  const client = clientFor(t, sandbox)
  for (const [options, option] of [
    [{ client }, 'dir'],
    [{ dir: 'x' }, 'client'],
    [{ dir: 'x', client, onInterrupted: 'drop' }, 'onInterrupted'],
    [{ dir: 'x', client, on: 1 }, 'on'],
  ] as const) {
    t.throws(() => resumeUploads(options as never), { code: 'ERR_INVALID_OPTION', option })
  }
})
