/**
 * The sandbox plays V4 as Frame.io does: files of a known size, slices with URLs that end, and who may call.
 */
import t from 'tap'
import { request } from 'undici'
import type { Sandbox, SandboxOptions } from '../lib/sandbox/index.ts'
import { boot, call, put } from './sandbox-kit.ts'
import { sha256 } from './support/sandboxes.ts'

/** Slices of a few bytes, and as many calls as a test likes. */
const SMALL = { v4: { sliceSize: 4, rateLimit: { limit: 1_000, window: 1_000 } } }

const small = (t: Parameters<typeof boot>[0], options: SandboxOptions = {}) =>
  boot(t, { ...SMALL, ...options })

const folderOf = ({ v4: { accountId, folderId } }: Sandbox) =>
  `/v4/accounts/${accountId}/folders/${folderId}`
const fileOf = ({ v4: { accountId } }: Sandbox, id: string) =>
  `/v4/accounts/${accountId}/files/${id}`

const create = (sandbox: Sandbox, data: unknown = { name: 'a.mp4', file_size: 10 }) =>
  call(sandbox, 'POST', `${folderOf(sandbox)}/files/local_upload`, { data })

interface Slice {
  readonly size: number
  readonly url: string
}

const slicesOf = async (sandbox: Sandbox): Promise<Slice[]> =>
  (await create(sandbox)).json.data.upload_urls

t.test('a file is created, its slices come in any order, and it is put together', async t => {
  const sandbox = await small(t)
  const { status, json } = await create(sandbox)
  t.equal(status, 201)
  t.match(json.data, {
    name: 'a.mp4',
    status: 'created',
    media_type: 'video/mp4',
    file_size: 10,
    view_url: /^https:/,
    created_at: /^\d{4}-/,
    upload_urls: [{ size: 4 }, { size: 4 }, { size: 2 }],
  })
  const [first, second, third] = json.data.upload_urls as [Slice, Slice, Slice]
  t.match(first.url, 'X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-acl')
  t.match(first.url, 'X-Amz-Expires=86400')
  const state = async () =>
    (await call(sandbox, 'GET', `${fileOf(sandbox, json.data.id)}/status`)).json.data
  await put(third.url, 'ij')
  await put(first.url, 'abcd')
  t.match(await state(), {
    upload_complete: false,
    upload_completed_at: null,
    upload_failed: false,
    uploaded_at: String,
  })
  await put(second.url, 'efgh')
  const [file] = sandbox.v4.files
  await file?.whenUploaded()
  t.match(await state(), { upload_complete: true, upload_completed_at: String })
  t.equal(file?.sha256, sha256(Buffer.from('abcdefghij')))
})

t.test('a creation that breaks a rule is 422 in the shape of V4', async t => {
  const sandbox = await small(t)
  const wrong: readonly (readonly [unknown, string])[] = [
    [{ name: 'a.mp4', file_size: 0 }, '/data/file_size'],
    [{ name: 'a.mp4', file_size: 5_000_000_000_001 }, '/data/file_size'],
    [{ name: 'a.mp4', file_size: 1.5 }, '/data/file_size'],
    [{ name: 'a.mp4' }, '/data/file_size'],
    [{ name: '', file_size: 1 }, '/data/name'],
    [{ name: 'n'.repeat(256), file_size: 1 }, '/data/name'],
    [{ name: 'a.mp4', file_size: 1, media_type: 'video/mp4' }, '/data/media_type'],
  ]
  for (const [data, pointer] of wrong) {
    const { status, json } = await create(sandbox, data)
    t.equal(status, 422, pointer)
    t.match(json, { errors: [{ detail: String, title: String, source: { pointer } }] })
    t.notOk('message' in json)
  }
  const path = `${folderOf(sandbox)}/files/local_upload`
  t.equal((await call(sandbox, 'POST', path, { name: 'a.mp4', file_size: 1 })).status, 422)
  t.equal((await call(sandbox, 'POST', path, { data: [] })).status, 422)
  t.equal(sandbox.v4.files.length, 0)
  t.equal((await create(sandbox, { name: `${'n'.repeat(251)}.mp4`, file_size: 1 })).status, 201)
})

t.test('the largest file has slices of 2 GB, and a URL for each', async t => {
  const sandbox = await boot(t)
  const { status, json } = await create(sandbox, { name: 'a.mov', file_size: 5_000_000_000_000 })
  t.equal(status, 201)
  t.equal(json.data.upload_urls.length, 2_500)
  t.match(json.data, { media_type: 'video/quicktime' })
})

t.test('a PUT that is not what the URL was signed for is refused', async t => {
  const sandbox = await small(t)
  const [slice] = await slicesOf(sandbox)
  const { url = '' } = slice ?? {}
  const mismatch = { status: 403, code: 'SignatureDoesNotMatch' }
  t.match(await put(url, 'abcd', { 'x-amz-acl': undefined }), mismatch)
  t.match(await put(url, 'abcd', { 'content-type': 'video/quicktime' }), mismatch)
  t.equal((await put(url, 'abcd')).status, 200)
  t.equal((await put(url, 'abcd')).status, 200, 'a second time does no harm')
})

t.test('a URL expires', async t => {
  const sandbox = await small(t, { urlLifetime: 1 })
  const [slice] = await slicesOf(sandbox)
  let answer = await put(slice?.url ?? '', 'abcd')
  while (answer.status === 200) {
    await new Promise(resolve => setTimeout(resolve, 50))
    answer = await put(slice?.url ?? '', 'abcd')
  }
  t.match(answer, { status: 403, code: 'AccessDenied', message: 'Request has expired' })
})

t.test('a folder is listed in pages, and what was deleted is not in it', async t => {
  const sandbox = await small(t)
  const ids: string[] = []
  for (let at = 0; at < 5; at++) ids.push((await create(sandbox)).json.data.id)
  t.equal((await call(sandbox, 'DELETE', fileOf(sandbox, ids[1] ?? ''))).status, 204)
  t.equal((await call(sandbox, 'DELETE', fileOf(sandbox, ids[1] ?? ''))).status, 404)
  const seen: string[] = []
  const pages: number[] = []
  for (let path = `${folderOf(sandbox)}/children?page_size=3`; path; ) {
    const { json } = await call(sandbox, 'GET', path)
    pages.push(json.data.length)
    seen.push(...json.data.map(({ id }: { id: string }) => id))
    path = json.links.next
  }
  t.strictSame(pages, [3, 1])
  t.strictSame(
    seen,
    ids.filter((_, at) => at !== 1),
  )
  t.equal((await call(sandbox, 'GET', `${folderOf(sandbox)}/children?page_size=101`)).status, 422)
  t.equal((await call(sandbox, 'GET', `${folderOf(sandbox)}/children?sort=name`)).status, 422)
})

t.test('a legacy token needs its header, and no other token may have it', async t => {
  const sandbox = await small(t)
  const legacy = { authorization: `Bearer ${sandbox.v4.legacyToken}` }
  const header = { 'x-frameio-legacy-token-auth': 'true' }
  const me = async (headers: Record<string, string>) =>
    (await call(sandbox, 'GET', '/v4/me', undefined, headers)).status
  t.equal(await me({}), 200)
  t.equal(await me(header), 401)
  t.equal(await me(legacy), 401)
  t.equal(await me({ ...legacy, ...header }), 200)
  const { json } = await call(sandbox, 'GET', '/v4/me', undefined, { authorization: 'Bearer no' })
  t.match(json, { errors: [{ detail: String, title: 'Unauthorized' }] })
  const { json: accounts } = await call(sandbox, 'GET', '/v4/accounts')
  t.match(accounts.data, [{ id: sandbox.v4.accountId }])
})

t.test("what is not there is 404; a device's token may not", async t => {
  const sandbox = await small(t)
  const { accountId, folderId } = sandbox.v4
  for (const path of [
    `/v4/accounts/none/folders/${folderId}/children`,
    `/v4/accounts/${accountId}/folders/none/children`,
    `/v4/accounts/${accountId}/files/none/status`,
    `/v4/accounts/${accountId}/nothing`,
  ]) {
    const { status, json } = await call(sandbox, 'GET', path)
    t.equal(status, 404, path)
    t.match(json, { errors: [{ title: 'Not Found' }] })
  }
  const { accessToken } = sandbox.devices.pair()
  const headers = { authorization: `Bearer ${accessToken}` }
  t.equal((await call(sandbox, 'GET', '/v4/me', undefined, headers)).status, 403)
})

t.test('each kind of calls has five a second, and others have theirs', async t => {
  const sandbox = await boot(t)
  const answers = await Promise.all(Array.from({ length: 8 }, () => create(sandbox)))
  const refused = answers.filter(({ status }) => status === 429)
  t.ok(refused.length >= 2, 'some are refused')
  t.match(refused[0]?.json, { errors: [{ detail: String }] })
  t.match(answers[0]?.headers, { 'x-ratelimit-limit': '5', 'x-ratelimit-window': '1000' })
  const { status, headers } = await call(sandbox, 'GET', `${folderOf(sandbox)}/children`)
  t.equal(status, 200)
  t.match(headers, { 'x-ratelimit-limit': '100', 'x-ratelimit-window': '60000' })
})

t.test('faults act on the calls of V4, with errors in its shape', async t => {
  const sandbox = await small(t)
  for (const on of ['create', 'children', 'me', 'accounts', 'status', 'delete'] as const) {
    sandbox.faults.add({ on, do: { status: 500 } })
  }
  const file = fileOf(sandbox, 'none')
  for (const answer of [
    await create(sandbox),
    await call(sandbox, 'GET', `${folderOf(sandbox)}/children`),
    await call(sandbox, 'GET', '/v4/me'),
    await call(sandbox, 'GET', '/v4/accounts'),
    await call(sandbox, 'GET', `${file}/status`),
    await call(sandbox, 'DELETE', file),
  ]) {
    t.equal(answer.status, 500)
    t.match(answer.json, { errors: [{ detail: 'a fault of the sandbox' }] })
    t.notOk('message' in answer.json)
  }
})

t.test('a client gets a server-to-server token for its secret', async t => {
  const sandbox = await small(t)
  const { clientId, clientSecret } = sandbox.credentials
  const right = {
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    scope: 'openid,AdobeID,frame.s2s.all',
  }
  const ask = async (form: Record<string, string>) => {
    const answer = await request(`${sandbox.url}/ims/token/v3`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    })
    return { status: answer.statusCode, json: (await answer.body.json()) as Record<string, string> }
  }
  const refused = { status: 400 }
  t.match(await ask({ ...right, client_secret: 'x' }), {
    ...refused,
    json: { error: 'invalid_client' },
  })
  t.match(await ask({ ...right, scope: 'openid' }), {
    ...refused,
    json: { error: 'invalid_scope' },
  })
  t.match(await ask({ ...right, grant_type: 'x' }), refused)
  const { status, json } = await ask(right)
  t.equal(status, 200)
  t.match(json, { expires_in: 86_400, token_type: 'bearer' })
  const headers = { authorization: `Bearer ${json.access_token}` }
  t.equal((await call(sandbox, 'GET', '/v4/me', undefined, headers)).status, 200)
  sandbox.renewToken()
  t.equal((await call(sandbox, 'GET', '/v4/me', undefined, headers)).status, 401)
})

t.test('options of V4 are checked', async t => {
  await t.rejects(boot(t, { v4: { sliceSize: 0 } }), /options\.v4\.sliceSize must be/)
  await t.rejects(
    boot(t, { v4: { rateLimit: { limit: 0, window: 1 } } }),
    /options\.v4\.rateLimit\.limit must be/,
  )
  await t.rejects(boot(t, { v4: { slices: 1 } as object }), /options\.v4 has no field 'slices'/)
})
