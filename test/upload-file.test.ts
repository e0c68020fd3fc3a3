/**
 * `uploadFile`: a finished file becomes one file at Frame.io, whole, or none.
 */
import { appendFile, open, readdir, rename, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { GrownFile, unreadable } from '../lib/follow/grown-file.ts'
import { uploadFile } from '../lib/index.ts'
import { folderFor, sha256, shown, until } from './support/sandboxes.ts'
import { failureOf, within } from './support/servers.ts'
import { fileFor, listenTo, onlyFile, v4ClientFor, v4For } from './support/v4.ts'

t.test('a file arrives as it is, whatever its size', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { folderId } = sandbox.v4
  for (const size of [1, 999, 1_000, 1_001, 3_000, 64_321]) {
    const { path, data } = await fileFor(t, size)
    const { told, of, progress } = listenTo()
    const done = await uploadFile({ client, folderId, file: path, ...told })
    const file = sandbox.v4.files.at(-1)
    const parts = Math.ceil(size / 1_000)
    t.match(done, { fileId: file?.id, name: 'A001.mp4', bytes: size, parts, viewUrl: /^https:/ })
    await file?.whenUploaded()
    t.equal(file?.sha256, sha256(data), `${size} bytes`)
    t.strictSame(
      of('part')
        .map(({ number }) => number)
        .toSorted((a, b) => a - b),
      Array.from({ length: parts }, (_, at) => at + 1),
    )
    t.match(progress.at(-1), {
      bytesReceived: size,
      bytesUploaded: size,
      bytesBuffered: 0,
      bytesResent: 0,
      partsUploaded: parts,
      partsInFlight: 0,
    })
    t.match(await client.waitUntilUploaded(done.fileId), { upload_complete: true })
  }
  t.equal(sandbox.v4.files.length, 6)
})

t.test('blocks that are sent while the next is read come in order', async t => {
  const sandbox = await v4For(t, {
    v4: { sliceSize: 3 * 2 ** 20 + 17, rateLimit: { limit: 99, window: 1 } },
  })
  const client = v4ClientFor(t, sandbox)
  const { path, data } = await fileFor(t, 10 * 2 ** 20 + 5)
  await uploadFile({ client, folderId: sandbox.v4.folderId, file: path, integrity: 'md5' })
  await uploadFile({ client, folderId: sandbox.v4.folderId, file: path })
  const files = sandbox.v4.files
  for (const file of files) {
    await file.whenUploaded()
    t.equal(file.sha256, sha256(data))
  }
  const puts = sandbox.requests.filter(({ operation }) => operation === 'put')
  const [withSum, without] = files.map(({ id }) => puts.filter(({ assetId }) => assetId === id))
  t.ok(withSum?.every(({ headers }) => headers['content-md5'] !== undefined))
  t.ok(without?.every(({ headers }) => headers['content-md5'] === undefined))
  t.ok(puts.every(({ headers }) => headers['content-type'] === 'video/mp4'))
  t.ok(puts.every(({ headers }) => headers['x-amz-acl'] === 'private'))
  t.ok(puts.every(({ headers }) => headers.authorization === undefined))
})

t.test('what cannot be uploaded is refused before anything is sent', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { folderId } = sandbox.v4
  const { dir, path: file } = await fileFor(t, 10)
  const failure = (options: object) =>
    failureOf(
      uploadFile({ client, folderId, file, ...options } as Parameters<typeof uploadFile>[0]),
    )
  const empty = join(dir, 'empty.mp4')
  await writeFile(empty, '')
  t.match(await failure({ file: empty }), { code: 'ERR_EMPTY_STREAM', message: /empty\.mp4/ })
  const huge = join(dir, 'huge.mov')
  await writeFile(huge, '')
  await truncate(huge, 5_000_000_000_001)
  t.match(await failure({ file: huge }), {
    code: 'ERR_STREAM_TOO_LARGE',
    message: /5000000000000 .*5000000000001/,
  })
  t.match(await failure({ file: join(dir, 'none.mp4') }), { code: 'ERR_SOURCE_FAILED' })
  t.match(await failure({ file: dir }), { code: 'ERR_SOURCE_FAILED', message: /is a folder/ })
  const wrong: readonly (readonly [object, string])[] = [
    [{ client: {} }, 'client'],
    [{ folderId: '../x' }, 'folderId'],
    [{ file: '' }, 'file'],
    [{ file: 7 }, 'file'],
    [{ name: '' }, 'name'],
    [{ name: 'n'.repeat(256) }, 'name'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ stallTimeout: -1 }, 'stallTimeout'],
    [{ integrity: 'sha1' }, 'integrity'],
    [{ spool: '/tmp' }, 'spool'],
    [{ spool: {} }, 'spool.dir'],
    [{ spool: { dir, keep: true } }, 'spool.keep'],
    [{ onProgress: 1 }, 'onProgress'],
    [{ onEvent: 1 }, 'onEvent'],
    [{ signal: 1 }, 'signal'],
    [{ filename: 'a' }, 'filename'],
  ]
  for (const [options, option] of wrong) {
    t.match(await failure(options), { code: 'ERR_INVALID_OPTION', option }, option)
  }
  t.equal(sandbox.requests.length, 0)
})

t.test('a file that is changed while it is sent leaves nothing at Frame.io', async t => {
  const changes: readonly (readonly [string, string, (path: string) => Promise<void>])[] = [
    ['cut', 'ERR_SOURCE_TRUNCATED', path => truncate(path, 500)],
    ['longer', 'ERR_SOURCE_CHANGED', path => appendFile(path, 'more')],
    ['touched', 'ERR_SOURCE_CHANGED', path => utimes(path, 1, 1)],
    [
      'written to',
      'ERR_SOURCE_CHANGED',
      async path => {
        const handle = await open(path, 'r+')
        await handle.write('other', 1_000)
        await handle.close()
      },
    ],
    [
      'another',
      'ERR_SOURCE_CHANGED',
      async path => {
        await rename(path, `${path}.old`)
        await writeFile(path, Buffer.alloc(5_000))
      },
    ],
  ]
  for (const withSpool of [false, true]) {
    for (const [how, code, change] of changes) {
      const sandbox = await v4For(t)
      const client = v4ClientFor(t, sandbox)
      const { path } = await fileFor(t, 5_000)
      const spool = { dir: await folderFor(t) }
      sandbox.faults.add({ on: 'put', part: 5, do: { delay: 100 } })
      const onEvent = ({ type, number }: { type: string; number?: number }) => {
        if (type === 'part' && number === 1) return change(path)
        return undefined
      }
      const upload = uploadFile({
        client,
        folderId: sandbox.v4.folderId,
        file: path,
        concurrency: 1,
        ...(withSpool && { spool }),
        onEvent,
      })
      t.match(await failureOf(upload), { code, path }, how)
      t.equal(sandbox.v4.files.length, 0, `${how}: the file is deleted`)
      t.equal(sandbox.stats.putsInFlight, 0)
      t.strictSame(await readdir(spool.dir), [])
    }
  }
})

t.test('a drive that hiccups as the file is looked at costs nothing but time', async t => {
  const sandbox = await v4For(t)
  const retry = { giveUpAfter: Infinity, minDelay: 1, maxDelay: 5 }
  const client = v4ClientFor(t, sandbox, { retry })
  const { path, data } = await fileFor(t, 3_500)
  const { state } = GrownFile.prototype
  t.teardown(() => Object.assign(GrownFile.prototype, { state }))
  let calls = 0
  GrownFile.prototype.state = function () {
    // Not the first, with which the upload begins.
    const fails = ++calls > 1 && calls < 5
    return fails ? Promise.reject(unreadable(path, new Error('ESTALE'))) : state.call(this)
  }
  const { told, of } = listenTo()
  await uploadFile({ client, folderId: sandbox.v4.folderId, file: path, ...told })
  const file = onlyFile(sandbox)
  await file.whenUploaded()
  t.equal(file.sha256, sha256(data))
  t.match(
    of('retry'),
    [1, 2, 3].map(() => ({ stage: 'read', error: { code: 'ERR_SOURCE_FAILED' } })),
  )
})

t.test('a file that is renamed or removed meanwhile is what it was', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { path, data } = await fileFor(t, 3_000)
  const onEvent = () => rename(path, `${path}.moved`).catch(() => {})
  await uploadFile({ client, folderId: sandbox.v4.folderId, file: path, concurrency: 1, onEvent })
  const file = onlyFile(sandbox)
  await file.whenUploaded()
  t.equal(file.sha256, sha256(data))
})

t.test('lanes are filled, and the cap of the client holds over all uploads', async t => {
  for (const [concurrency, cap, most] of [
    [3, 64, 3],
    [4, 2, 2],
  ] as const) {
    const sandbox = await v4For(t, { latency: { storage: 20 } })
    const client = v4ClientFor(t, sandbox, { concurrency: cap })
    const uploads = [0, 1].slice(0, cap === 2 ? 2 : 1).map(async at => {
      const { path } = await fileFor(t, 12_000, `${at}.mp4`)
      return uploadFile({ client, folderId: sandbox.v4.folderId, file: path, concurrency })
    })
    await Promise.all(uploads)
    t.equal(sandbox.stats.maxPutsInFlight, most)
  }
})

t.test('progress never goes back, and says what is sent again', async t => {
  const sandbox = await v4For(t, { latency: { storage: 15 } })
  const client = v4ClientFor(t, sandbox)
  const { path } = await fileFor(t, 20_000)
  sandbox.faults.add(
    { on: 'put', part: 9, do: { expire: true } },
    { on: 'put', part: 4, do: { status: 500 } },
  )
  const { told, progress, of } = listenTo()
  await uploadFile({ client, folderId: sandbox.v4.folderId, file: path, concurrency: 2, ...told })
  t.ok(progress.length > 2, `${progress.length} times`)
  for (const [at, one] of progress.entries()) {
    const before = progress[at - 1] ?? one
    t.ok(one.bytesUploaded >= before.bytesUploaded)
    t.ok(one.bytesResent >= before.bytesResent)
    t.ok(one.partsUploaded >= before.partsUploaded)
    t.equal(one.bytesUploaded + one.bytesBuffered, 20_000)
  }
  // Not what S3 stored: a receipt that was on its way as the URLs expired was never read.
  const receipts = of('part').length * 1_000
  t.match(progress.at(-1), { bytesUploaded: 20_000, bytesResent: receipts - 20_000 })
  t.ok(receipts > 20_000)
  t.ok(of('retry').some(({ stage, partNumbers }) => stage === 'put' && partNumbers[0] === 4))
})

t.test('URLs that expired: the file is deleted and created anew', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { path, data } = await fileFor(t, 5_000)
  sandbox.faults.add({ on: 'put', part: 3, do: { expire: true } })
  const { told, of } = listenTo()
  const { fileId } = await uploadFile({
    client,
    folderId: sandbox.v4.folderId,
    file: path,
    ...told,
  })
  const file = onlyFile(sandbox)
  t.equal(file.id, fileId)
  await file.whenUploaded()
  t.equal(file.sha256, sha256(data))
  t.match(of('warning'), [{ code: 'URLS_EXPIRED' }])
  t.equal(of('warning').length, 1)
})

t.test('URLs that expire again and again end it, and what is left is deleted', async t => {
  for (const [fault, code, times] of [
    [{ expire: true }, 'ERR_URL_EXPIRED', 3],
    [{ status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }, 'ERR_STORAGE_REJECTED', 2],
  ] as const) {
    const sandbox = await v4For(t)
    const client = v4ClientFor(t, sandbox)
    const { path } = await fileFor(t, 5_000)
    sandbox.faults.add({ on: 'put', part: 5, times: Infinity, do: fault })
    const upload = uploadFile({ client, folderId: sandbox.v4.folderId, file: path })
    t.match(await failureOf(upload), { code, assetId: String })
    t.equal(sandbox.requests.filter(({ operation }) => operation === 'create').length, times)
    t.equal(sandbox.v4.files.length, 0)
  }
})

t.test('a URL past its life by our own clock is not even tried', async t => {
  const sandbox = await v4For(t, { urlLifetime: 2 })
  const client = v4ClientFor(t, sandbox)
  const { path } = await fileFor(t, 2_000)
  sandbox.faults.add({ on: 'put', part: 1, do: { delay: 2_200 } })
  const { told, of } = listenTo()
  const options = { client, folderId: sandbox.v4.folderId, file: path, concurrency: 1 }
  await uploadFile({ ...options, ...told })
  t.match(of('warning'), [{ code: 'URLS_EXPIRED' }])
  t.equal(sandbox.requests.filter(({ status }) => status === 403).length, 0)
})

t.test("a portal's 403 says nothing of a URL: the same is tried again", async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { path } = await fileFor(t, 3_000)
  const portal = { status: 403, body: '<html>Log in</html>' }
  sandbox.faults.add({ on: 'put', part: 2, times: 4, do: portal })
  const { told, of } = listenTo()
  await uploadFile({ client, folderId: sandbox.v4.folderId, file: path, ...told })
  t.strictSame(of('warning'), [])
  t.equal(of('retry').length, 4)
  t.equal(sandbox.requests.filter(({ operation }) => operation === 'create').length, 1)
})

t.test('an abort at any stage leaves nothing in flight, and nothing at Frame.io', async t => {
  const stages = {
    'before it begins': { at: undefined },
    'while it is created': { at: 'create', fault: { on: 'create', do: { hang: 'answer' } } },
    'while the answer is lost': {
      at: 'create',
      fault: { on: 'create', do: { hang: 'answering' } },
    },
    'while a part is sent': { at: 'put', fault: { on: 'put', part: 2, do: { hang: 'body' } } },
    'while a part waits': {
      at: 'retry',
      fault: { on: 'put', part: 2, times: Infinity, do: { status: 500 } },
    },
    'while S3 is silent': { at: 'put', fault: { on: 'put', part: 3, do: { hang: 'answer' } } },
  } as const
  for (const [name, stage] of Object.entries(stages)) {
    const sandbox = await v4For(t)
    const client = v4ClientFor(t, sandbox)
    const { path } = await fileFor(t, 6_000)
    if ('fault' in stage) sandbox.faults.add(stage.fault)
    const controller = new AbortController()
    const { told, of } = listenTo()
    if (stage.at === undefined) controller.abort('enough')
    const { signal } = controller
    const upload = uploadFile({
      client,
      folderId: sandbox.v4.folderId,
      file: path,
      signal,
      ...told,
    })
    const failing = failureOf(upload)
    if (stage.at === 'retry') await until(() => of('retry').length > 0)
    else if (stage.at) await until(() => sandbox.faults.fired.length > 0)
    controller.abort('enough')
    t.match(
      await within(10_000, failing),
      { name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' },
      name,
    )
    await until(() => sandbox.requests.every(({ endedAt }) => endedAt !== undefined), name)
    t.equal(sandbox.v4.files.length, 0, `${name}: nothing is left`)
    const seen = sandbox.requests.length
    await new Promise(resolve => setTimeout(resolve, 50))
    t.equal(sandbox.requests.length, seen, `${name}: nothing comes later`)
  }
})

t.test('of headers that are not those that were signed no option of its own is blamed', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { path } = await fileFor(t, 3_000)
  const body = '<Error><Code>SignatureDoesNotMatch</Code></Error>'
  sandbox.faults.add({ on: 'put', times: Infinity, do: { status: 403, body } })
  const error = await failureOf(uploadFile({ client, folderId: sandbox.v4.folderId, file: path }))
  t.match(error, { storageCode: 'SignatureDoesNotMatch', message: /; .*x-amz-acl.* a proxy/ })
  t.notMatch(shown(error), 'filetype')
})

t.test('what cannot be deleted is named in the error', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { path } = await fileFor(t, 3_000)
  sandbox.faults.add(
    {
      on: 'put',
      part: 2,
      do: { status: 403, body: '<Error><Code>SignatureDoesNotMatch</Code></Error>' },
    },
    { on: 'delete', times: Infinity, do: { status: 403 } },
  )
  const error = await failureOf(uploadFile({ client, folderId: sandbox.v4.folderId, file: path }))
  const { id } = onlyFile(sandbox)
  t.match(error, {
    code: 'ERR_STORAGE_REJECTED',
    storageCode: 'SignatureDoesNotMatch',
    partNumber: 2,
    message: new RegExp(`File ${id} stays unfinished at Frame\\.io: it could not be deleted`),
  })
})

t.test('a callback that throws, or rejects, ends the upload with that', async t => {
  const oops = new Error('oops')
  const callbacks = {
    onEvent: () => {
      throw oops
    },
    onProgress: () => Promise.reject(oops),
  }
  for (const [name, callback] of Object.entries(callbacks)) {
    const sandbox = await v4For(t, { latency: { storage: 60 } })
    const client = v4ClientFor(t, sandbox)
    const { path } = await fileFor(t, 20_000)
    const options = { client, folderId: sandbox.v4.folderId, file: path, [name]: callback }
    t.equal(await failureOf(uploadFile(options)), oops, name)
    t.equal(sandbox.v4.files.length, 0)
  }
})

t.test('a client that is closed ends the upload', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { path } = await fileFor(t, 3_000)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const failing = failureOf(uploadFile({ client, folderId: sandbox.v4.folderId, file: path }))
  await until(() => sandbox.stats.putsInFlight > 0)
  await client.close()
  t.match(await within(10_000, failing), { code: 'ERR_CLIENT_CLOSED', message: /stays unfinished/ })
  const again = uploadFile({ client, folderId: sandbox.v4.folderId, file: path })
  t.match(await failureOf(again), { code: 'ERR_CLIENT_CLOSED' })
})

t.test('slices that are not those of the file are no answer', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  const { path } = await fileFor(t, 3_000)
  const upload_urls = [{ size: 1_000, url: 'http://127.0.0.1:9/1?X-Amz-Signature=5ec4e7' }]
  const data = {
    id: 'f1',
    name: 'A001.mp4',
    status: 'created',
    media_type: 'video/mp4',
    upload_urls,
  }
  sandbox.faults.add({ on: 'create', times: Infinity, do: { status: 201, body: { data } } })
  const error = await failureOf(uploadFile({ client, folderId: sandbox.v4.folderId, file: path }))
  t.match(error, { code: 'ERR_BAD_RESPONSE', message: /3000/ })
  t.notMatch(shown(error), '5ec4e7')
})

t.test('the URLs of the largest file fit', async t => {
  const sandbox = await v4For(t)
  const client = v4ClientFor(t, sandbox)
  // As long as those are that were signed with a session's token.
  const url = `http://127.0.0.1:9/1?X-Amz-Security-Token=${'t'.repeat(2_000)}`
  const upload_urls = Array.from({ length: 2_500 }, () => ({ size: 2_000_000_000, url }))
  const data = {
    id: 'f1',
    name: 'A.mov',
    status: 'created',
    media_type: 'video/quicktime',
    upload_urls,
  }
  sandbox.faults.add({ on: 'create', do: { status: 201, body: { data } } })
  const file = await client.createFile(sandbox.v4.folderId, { name: 'A.mov', fileSize: 5e12 })
  t.equal(file.upload_urls.length, 2_500)
})
