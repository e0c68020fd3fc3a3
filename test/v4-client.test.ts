/**
 * The client of V4: what it calls, what it refuses before, how long it waits, and that a creation whose
 * answer was lost leaves one file.
 */
import t, { type Test } from 'tap'
import { V4_WAITS_DOOR, type V4Waits } from '../lib/frameio/v4/dialect.ts'
import { FrameioV4Client, type FrameioV4ClientOptions, type V4CallRetry } from '../lib/index.ts'
import type { Sandbox, SandboxOptions } from '../lib/sandbox/index.ts'
import { call, put } from './sandbox-kit.ts'
import { QUICK, sandboxFor, shown, until } from './support/sandboxes.ts'
import { failureOf, json, SECRET, serve } from './support/servers.ts'

const FAST: V4Waits = { afterServerError: 30, afterRateLimit: 1 }
const CLIP = { name: 'A001.mp4', fileSize: 10 }
const FILE = {
  id: 'f1',
  name: 'A001.mp4',
  status: 'created',
  media_type: 'video/mp4',
  upload_urls: [{ size: 10, url: 'http://127.0.0.1:9/1' }],
}

const v4For = (t: Test, options: SandboxOptions = {}): Promise<Sandbox> =>
  sandboxFor(t, { v4: { sliceSize: 4, rateLimit: { limit: 1_000, window: 1_000 } }, ...options })

/** A client with quick retries, closed with the test, and what it tells of other tries. */
const clientOf = (
  t: Test,
  { url, token, accountId = 'a1' }: { url: string; token: string; accountId?: string },
  options: Partial<FrameioV4ClientOptions> = {},
  waits: Partial<V4Waits> = FAST,
) => {
  const retries: V4CallRetry[] = []
  const client = new FrameioV4Client({
    accountId,
    token,
    baseUrl: url,
    retry: { ...QUICK, giveUpAfter: 10_000 },
    onRetry: retry => retries.push(retry),
    ...options,
    ...{ [V4_WAITS_DOOR]: waits },
  })
  t.teardown(() => client.close())
  return { client, retries }
}

const clientFor = (
  t: Test,
  { url, token, v4: { accountId } }: Sandbox,
  options: Partial<FrameioV4ClientOptions> = {},
) => clientOf(t, { url, token, accountId }, options)

/** A client to a server that gives these answers in turn, and the last one for ever. */
const answering = async (
  t: Test,
  answers: readonly (readonly [status: number, body: unknown, headers?: object])[],
  options: Partial<FrameioV4ClientOptions> = {},
  waits: Partial<V4Waits> = FAST,
) => {
  const server = await serve(t, (res, _seen, count) => {
    const [status, body, headers] = answers[Math.min(count, answers.length) - 1] ?? [500, {}]
    if (typeof body === 'string') res.writeHead(status, { ...headers }).end(body)
    else json(res, status, body, headers)
  })
  return { ...server, ...clientOf(t, { url: server.url, token: SECRET }, options, waits) }
}

const operationsOf = ({ requests }: Sandbox) => requests.map(({ operation }) => operation)

t.test('a file lives: created, sent, complete, listed and deleted', async t => {
  const sandbox = await v4For(t)
  const { client } = clientFor(t, sandbox)
  t.match(await client.whoAmI(), { id: String })
  const file = await client.createFile(sandbox.v4.folderId, CLIP)
  t.match(file, { name: 'A001.mp4', status: 'created', media_type: 'video/mp4', view_url: String })
  t.strictSame(
    file.upload_urls.map(({ size }) => size),
    [4, 4, 2],
  )
  t.match(await client.fileStatus(file.id), { upload_complete: false })
  const whole = client.waitUntilUploaded(file.id)
  for (const [at, { url }] of file.upload_urls.entries()) {
    await put(url, 'abcdefghij'.slice(at * 4, at * 4 + 4), { 'content-type': file.media_type })
  }
  t.match(await whole, { upload_complete: true })
  const names: string[] = []
  for await (const { name, status } of client.listFolder(sandbox.v4.folderId)) {
    names.push(`${name} ${status}`)
  }
  t.strictSame(names, ['A001.mp4 uploaded'])
  await client.deleteFile(file.id)
  t.equal(sandbox.v4.files.length, 0)
  t.match(await failureOf(client.fileStatus(file.id)), {
    code: 'ERR_ASSET_NOT_FOUND',
    assetId: file.id,
    message: /check the ids of account, folder and file$/,
  })
  const elsewhere = await answering(t, [[404, { errors: [{ detail: 'no' }] }]])
  t.match(await failureOf(elsewhere.client.whoAmI()), {
    code: 'ERR_ASSET_NOT_FOUND',
    message: /; check baseUrl: V4's API must be below it$/,
  })
})

t.test('a folder of more than a page is listed whole, over its links', async t => {
  const sandbox = await v4For(t)
  const { client } = clientFor(t, sandbox)
  const { accountId, folderId } = sandbox.v4
  const path = `/v4/accounts/${accountId}/folders/${folderId}/files/local_upload`
  for (let at = 0; at < 203; at++) {
    await call(sandbox, 'POST', path, { data: { name: `${at}.mp4`, file_size: 1 } })
  }
  const names: string[] = []
  for await (const { name } of client.listFolder(folderId)) names.push(name)
  t.strictSame(
    names,
    Array.from({ length: 203 }, (_, at) => `${at}.mp4`),
  )
  t.equal(operationsOf(sandbox).filter(name => name === 'children').length, 3)
})

t.test('a link to the next page leads no token elsewhere', async t => {
  const page = { data: [{ id: 'a', name: 'a', type: 'folder' }] }
  const { client, requests } = await answering(t, [
    [200, { ...page, links: { next: 'https://elsewhere.example/x?after=c%2B1' } }],
    [200, { ...page, links: { next: null } }],
  ])
  for await (const { type } of client.listFolder('f')) t.equal(type, 'folder')
  t.strictSame(
    requests.map(({ url }) => url),
    [
      '/v4/accounts/a1/folders/f/children?page_size=100',
      '/v4/accounts/a1/folders/f/children?page_size=100&after=c%2B1',
    ],
  )
})

t.test('what breaks a rule is refused before a byte is sent', async t => {
  const { client, requests } = await answering(t, [[201, { data: FILE }]])
  const refused = (option: string, value: string, work: () => Promise<unknown>) =>
    t.rejects(work, { code: 'ERR_INVALID_OPTION', option, message: value })
  const create = (options: object, folder: unknown = 'f1') =>
    client.createFile(folder as string, { ...CLIP, ...options })
  await refused('fileSize', 'received 0', () => create({ fileSize: 0 }))
  await refused('fileSize', /to 5000000000000 .*received 5000000000001$/ as never, () =>
    create({ fileSize: 5_000_000_000_001 }),
  )
  await refused('fileSize', 'received 1.5', () => create({ fileSize: 1.5 }))
  await refused('fileSize', "received '1'", () => create({ fileSize: '1' }))
  await refused('name', "received ''", () => create({ name: '' }))
  await refused('name', 'a name of 1 to 255 characters', () => create({ name: 'n'.repeat(256) }))
  await refused('folderId', "received '../x'", () => create({}, '../x'))
  await refused('filesize', 'did you mean fileSize', () => create({ filesize: 1 }))
  await refused('fileId', 'received', () => client.deleteFile('a/b'))
  t.throws(() => client.listFolder('..'), { code: 'ERR_INVALID_OPTION', option: 'folderId' })
  t.strictSame(requests, [])
})

t.test('files of 1 byte and of 5 TB are created, with names of 255 characters', async t => {
  const sandbox = await v4For(t, { v4: {} })
  const { client } = clientFor(t, sandbox)
  const name = `${'😀'.repeat(251)}.mp4`
  const small = await client.createFile(sandbox.v4.folderId, { name, fileSize: 1 })
  t.match(small.upload_urls, [{ size: 1 }])
  const large = await client.createFile(sandbox.v4.folderId, {
    name: 'a.mov',
    fileSize: 5_000_000_000_000,
  })
  t.equal(
    large.upload_urls.reduce((sum, { size }) => sum + size, 0),
    5_000_000_000_000,
  )
})

t.test('options of a client are checked', t => {
  const right = { accountId: 'a1', token: 'x' }
  const refused = (options: object, option: string) =>
    t.throws(() => new FrameioV4Client({ ...right, ...options } as FrameioV4ClientOptions), {
      code: 'ERR_INVALID_OPTION',
      option,
    })
  refused({ accountId: undefined }, 'accountId')
  refused({ accountId: 'a/../b' }, 'accountId')
  refused({ token: '' }, 'token')
  refused({ legacyToken: 'yes' }, 'legacyToken')
  refused({ baseUrl: 'http://example.com' }, 'baseUrl')
  refused({ concurrency: 0 }, 'concurrency')
  refused({ device: {} }, 'device')
  refused({ legacytoken: true }, 'legacytoken')
  t.end()
})

t.test('a legacy token bears its header, and no other does', async t => {
  const sandbox = await v4For(t)
  const { legacyToken: token } = sandbox.v4
  t.match(await clientFor(t, sandbox, { token, legacyToken: true }).client.whoAmI(), { id: String })
  await clientFor(t, sandbox).client.whoAmI()
  t.strictSame(
    sandbox.requests.map(({ headers }) => headers['x-frameio-legacy-token-auth']),
    ['true', undefined],
  )
  const wrong = clientFor(t, sandbox, { token }).client
  t.match(await failureOf(wrong.whoAmI()), {
    code: 'ERR_UNAUTHORIZED',
    statusCode: 401,
    message: /legacyToken: true/,
  })
})

t.test('after a 401 a token function is asked again, once', async t => {
  const sandbox = await v4For(t)
  const dead = sandbox.token
  sandbox.renewToken()
  const given = [dead, sandbox.token]
  const { client } = clientFor(t, sandbox, { token: () => given.shift() ?? 'none' })
  await Promise.all([client.whoAmI(), client.createFile(sandbox.v4.folderId, CLIP)])
  t.strictSame(given, [])
  t.equal(sandbox.v4.files.length, 1, 'a creation that was refused was not carried out')
})

t.test("V4's shape of an error is told, with the field, and without the token", async t => {
  const errors = [
    { title: 'Invalid value', detail: `no ${SECRET}`, source: { pointer: '/data/name' } },
    { detail: 'and this' },
  ]
  const { client } = await answering(t, [[422, { errors }]])
  const error = await failureOf(client.createFile('f1', CLIP))
  t.match(error, {
    code: 'ERR_REQUEST_REJECTED',
    statusCode: 422,
    message:
      "Creating file 'A001.mp4' failed: Frame.io answered 422 (Invalid value: no [redacted] (at /data/name); and this)",
  })
  t.notMatch(shown(error), SECRET)
})

t.test('an answer that makes no sense is no file', async t => {
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ media_type: 'mp4' }, /media_type/],
    [{ upload_urls: [] }, /upload_urls/],
    [{ upload_urls: [{ size: 9, url: 'http://127.0.0.1:9/1' }] }, /add up to 10, not to 9/],
    [{ upload_urls: [{ size: 10, url: 'ftp://x/1' }] }, /http\(s\) URLs/],
    [{ id: 1 }, /id and a name/],
  ]
  for (const [data, message] of wrong) {
    const { client } = await answering(t, [[201, { data: { ...FILE, ...data } }]])
    t.match(await failureOf(client.createFile('f1', CLIP)), { code: 'ERR_BAD_RESPONSE', message })
  }
})

t.test('after a 5xx it waits 30 s at least, whatever `retry` says', async t => {
  const { client, retries } = await answering(t, [[503, { errors: [] }]], {}, {})
  const asked = client.whoAmI().catch(() => {})
  await until(() => retries.length === 1)
  t.match(retries, [{ call: 'whoAmI', attempt: 1, error: { code: 'ERR_SERVER', statusCode: 503 } }])
  t.ok((retries[0]?.delay ?? 0) >= 30_000)
  await client.close()
  await asked
})

t.test('such a wait is no part of the options, nor cut to what is left of the budget', async t => {
  const { client, retries, requests } = await answering(
    t,
    [
      [500, { errors: [] }],
      [502, '<html>'],
      [200, { data: { id: 'u1' } }],
    ],
    { retry: { giveUpAfter: 1, minDelay: 0, maxDelay: 0 } },
  )
  t.match(await client.whoAmI(), { id: 'u1' })
  t.strictSame(
    retries.map(({ delay }) => delay),
    [30, 30],
  )
  t.equal(requests.length, 3)
})

t.test('after a 429 it waits a second, and twice as long after the next', async t => {
  const busy = [429, { errors: [{ detail: 'Too many' }] }] as const
  const waits = { afterRateLimit: 50 }
  const done = [200, { data: { id: 'u1' } }] as const
  const retry = { ...QUICK, maxDelay: 30_000 }
  const first = await answering(t, [busy, busy, busy, done], { retry }, waits)
  t.match(await first.client.whoAmI(), { id: 'u1' })
  const [one = 0, two = 0, three = 0] = first.retries.map(({ delay }) => delay)
  // By up to a quarter longer, so that many do not come back as one; less what has passed of it.
  t.ok(one <= 63, `50: ${one}`)
  t.ok(two > 63 && two <= 126, `100: ${two}`)
  t.ok(three > 126 && three <= 251, `200: ${three}`)
  const real = await answering(t, [busy], { retry }, {})
  const asked = real.client.whoAmI().catch(() => {})
  await until(() => real.retries.length === 1)
  t.ok((real.retries[0]?.delay ?? 0) > 500, 'a second, less what has passed of it')
  await real.client.close()
  await asked
})

t.test('a kind of calls that is refused holds up no other', async t => {
  const server = await serve(t, (res, { url }) => {
    if (url === '/v4/me') json(res, 429, { errors: [{ detail: 'Too many' }] })
    else json(res, 200, { data: { upload_complete: true, upload_failed: false } })
  })
  const { client, retries } = clientOf(
    t,
    { url: server.url, token: SECRET },
    { retry: { ...QUICK, maxDelay: 30_000 } },
    { afterRateLimit: 600_000 },
  )
  const held = client.whoAmI().catch(() => {})
  await until(() => retries.length === 1)
  t.match(await client.fileStatus('f1'), { upload_complete: true })
  await client.close()
  await held
})

t.test('against limits of five a second nothing is refused', async t => {
  const sandbox = await sandboxFor(t)
  const { client } = clientFor(t, sandbox, { retry: {} })
  await Promise.all(
    Array.from({ length: 8 }, (_, at) =>
      client.createFile(sandbox.v4.folderId, { name: `${at}.mp4`, fileSize: 1 }),
    ),
  )
  t.equal(sandbox.v4.files.length, 8)
  t.strictSame(
    sandbox.requests.map(({ status }) => status),
    Array(8).fill(201),
  )
})

const LOST = [
  { loseAnswer: true },
  { reset: 'answer' },
  { reset: 'after' },
  { status: 500 },
  { status: 502, body: '<html>' },
  { status: 201, body: '<html>' },
] as const

for (const fault of LOST) {
  t.test(`a creation whose answer is lost leaves one file: ${JSON.stringify(fault)}`, async t => {
    const sandbox = await v4For(t, { faults: [{ on: 'create', times: 2, do: fault }] })
    const { client, retries } = clientFor(t, sandbox)
    const { id } = await client.createFile(sandbox.v4.folderId, CLIP)
    t.strictSame(
      sandbox.v4.files.map(file => file.id),
      [id],
    )
    t.match(retries[0]?.error.message, /it may have been carried out all the same$/)
    const isDone = 'loseAnswer' in fault || ('reset' in fault && fault.reset === 'answer')
    t.equal(operationsOf(sandbox).filter(name => name === 'delete').length, isDone ? 2 : 0)
  })
}

t.test('what was lost is found by its name in either form of Unicode', async t => {
  const sandbox = await v4For(t)
  const { folderId } = sandbox.v4
  // As if Frame.io had carried the first try out, and put the name into its own form.
  const name = 'Caf\u00e9.mp4'
  await clientFor(t, sandbox).client.createFile(folderId, { ...CLIP, name: name.normalize('NFD') })
  sandbox.faults.add({ on: 'create', do: { status: 500 } })
  const { id } = await clientFor(t, sandbox).client.createFile(folderId, { ...CLIP, name })
  t.strictSame(
    sandbox.v4.files.map(file => file.id),
    [id],
  )
})

t.test('a creation that never reached Frame.io is simply made again', async t => {
  const sandbox = await v4For(t)
  const { client } = clientOf(t, { url: 'http://127.0.0.1:9', token: SECRET }, { retry: QUICK })
  t.match(await failureOf(client.createFile('f1', CLIP)), {
    code: 'ERR_NETWORK',
    message: /^(?!.*carried out)/s,
  })
  t.strictSame(sandbox.requests, [])
})

t.test('where it gives up, the message says that there may be a file', async t => {
  const sandbox = await v4For(t, {
    faults: [{ on: 'create', times: Number.POSITIVE_INFINITY, do: { status: 500 } }],
  })
  const { client } = clientFor(t, sandbox, { retry: { ...QUICK, giveUpAfter: 1 } })
  t.match(await failureOf(client.createFile(sandbox.v4.folderId, CLIP)), {
    code: 'ERR_SERVER',
    attempts: 3,
    message: /may have been carried out all the same/,
  })
})

t.test('what is not ours stays: uploaded, of another size, or there before', async t => {
  const sandbox = await v4For(t)
  const { client } = clientFor(t, sandbox)
  const { folderId } = sandbox.v4
  const other = clientFor(t, sandbox).client
  const before = await other.createFile(folderId, CLIP)
  const bigger = await other.createFile(folderId, { ...CLIP, fileSize: 11 })
  const whole = await other.createFile(folderId, CLIP)
  for (const { url, size } of whole.upload_urls) await put(url, 'x'.repeat(size))
  await other.waitUntilUploaded(whole.id)
  // What was there before this call is told by its age, of which a second is left to two clocks.
  await new Promise(resolve => setTimeout(resolve, 2_100))
  sandbox.faults.add({ on: 'create', do: { loseAnswer: true } })
  const file = await client.createFile(folderId, CLIP)
  t.strictSame(
    sandbox.v4.files.map(({ id }) => id),
    [before.id, bigger.id, whole.id, file.id],
  )
})

t.test('where more than was lost looks like ours, all stay', async t => {
  const sandbox = await v4For(t)
  const { client } = clientFor(t, sandbox)
  const { folderId } = sandbox.v4
  sandbox.faults.add({ on: 'create', do: { loseAnswer: true } })
  sandbox.faults.add({ on: 'children', do: { delay: 300 } })
  const creation = client.createFile(folderId, CLIP)
  await until(() => operationsOf(sandbox).includes('children'))
  const another = await clientFor(t, sandbox).client.createFile(folderId, CLIP)
  const file = await creation
  const ids = sandbox.v4.files.map(({ id }) => id)
  t.equal(ids.length, 3)
  t.ok(ids.includes(another.id) && ids.includes(file.id))
})

t.test('two creations of one name and size do not take each other for lost', async t => {
  const files = new Map<string, object>()
  let creations = 0
  const server = await serve(t, (res, { method, url }) => {
    if (method === 'DELETE') {
      files.delete(url.split('/').at(-1) ?? '')
      res.writeHead(204).end()
    } else if (method === 'POST') {
      const id = `f${++creations}`
      const created = { ...FILE, id, type: 'file', file_size: 10 }
      files.set(id, { ...created, created_at: new Date().toISOString() })
      const first = () => json(res, 201, { data: created })
      // The first is carried out, and answered only after the second has lost its answer.
      if (creations === 1) setTimeout(first, 200)
      else if (creations === 2) res.destroy()
      else first()
    } else json(res, 200, { data: [...files.values()], links: {} })
  })
  const { client } = clientOf(t, { url: server.url, token: SECRET })
  const created = await Promise.all([1, 2].map(() => client.createFile('folder', CLIP)))
  t.strictSame(
    created.map(({ id }) => id),
    [...files.keys()],
  )
  t.equal(files.size, 2)
})

t.test('one that was carried out late, after the folder was listed, is found as well', async t => {
  const late = { id: 'late', name: CLIP.name, type: 'file', status: 'created', file_size: 10 }
  let creations = 0
  const deleted: string[] = []
  const server = await serve(t, (res, { method, url }) => {
    const created_at = new Date().toISOString()
    if (method === 'DELETE') {
      deleted.push(url)
      res.writeHead(204).end()
    } else if (method === 'POST') {
      creations++
      if (creations === 1) res.destroy()
      else json(res, 201, { data: FILE })
    } else {
      const ours = { ...late, id: FILE.id }
      const data = creations === 1 ? [] : [late, ours].map(file => ({ ...file, created_at }))
      json(res, 200, { data, links: {} })
    }
  })
  const { client } = clientOf(t, { url: server.url, token: SECRET })
  t.match(await client.createFile('f1', CLIP), { id: 'f1' })
  t.strictSame(deleted, ['/v4/accounts/a1/files/late'])
})

t.test('a deletion whose answer is lost has deleted', async t => {
  const sandbox = await v4For(t, { faults: [{ on: 'delete', do: { loseAnswer: true } }] })
  const { client } = clientFor(t, sandbox)
  const { id } = await client.createFile(sandbox.v4.folderId, CLIP)
  await client.deleteFile(id)
  t.equal(sandbox.v4.files.length, 0)
  t.match(await failureOf(client.deleteFile(id)), { code: 'ERR_ASSET_NOT_FOUND' })
})

t.test('waiting ends: in time, by the signal, or when Frame.io says it failed', async t => {
  const status = { upload_complete: false, upload_failed: false }
  const open = await answering(t, [[200, { data: status }]])
  t.match(await failureOf(open.client.waitUntilUploaded('f1', { timeout: 20 })), {
    code: 'ERR_TIMEOUT',
    message: 'Frame.io has not completed file f1 within 20 ms',
  })
  const controller = new AbortController()
  const waiting = failureOf(open.client.waitUntilUploaded('f1', { signal: controller.signal }))
  controller.abort(new Error('enough'))
  t.match(await waiting, { name: 'AbortError' })
  const closed = failureOf(open.client.waitUntilUploaded('f1'))
  await open.client.close()
  t.match(await closed, { code: 'ERR_CLIENT_CLOSED' })
  const failed = await answering(t, [[200, { data: { ...status, upload_failed: true } }]])
  t.match(await failureOf(failed.client.waitUntilUploaded('f1')), { code: 'ERR_UPLOAD_FAILED' })
})

t.test("ids of Adobe's storage are encoded", async t => {
  const { client, requests } = await answering(t, [[204, '']])
  await client.deleteFile('adobe:urn:aaid:sc:US:1|2')
  t.equal(requests[0]?.url, '/v4/accounts/a1/files/adobe%3Aurn%3Aaaid%3Asc%3AUS%3A1%7C2')
})
