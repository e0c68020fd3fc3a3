import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { Dispatcher, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { FrameioClient, type RefreshingTokenOptions, refreshingToken } from '../lib/index.ts'
import type { Sandbox } from '../lib/sandbox/index.ts'
import {
  bytes,
  endOf,
  QUICK,
  SMALL,
  sandboxFor,
  shown,
  smallUpload,
  until,
} from './support/sandboxes.ts'

const optionsFor = (sandbox: Sandbox, saved: string[]): RefreshingTokenOptions => ({
  clientId: sandbox.credentials.clientId,
  clientSecret: sandbox.credentials.clientSecret,
  refreshToken: sandbox.credentials.refreshToken,
  baseUrl: sandbox.url,
  save: refreshToken => {
    saved.push(refreshToken)
  },
})

t.test('a refresh token gets an access token, and the one that replaces it is saved', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const saved: string[] = []
  const before = sandbox.token
  const { upload } = smallUpload(sandbox, { token: refreshingToken(optionsFor(sandbox, saved)) })
  upload.end(bytes(2_500))
  t.equal(await endOf(upload), undefined)
  t.strictSame(saved, [sandbox.credentials.refreshToken])
  t.not(sandbox.token, before)
})

t.test('the new token is not used before the new refresh token is saved', async t => {
  const sandbox = await sandboxFor(t)
  let save = () => {}
  const isSaved = new Promise<void>(resolve => {
    save = resolve
  })
  const token = refreshingToken({ ...optionsFor(sandbox, []), save: () => isSaved })
  const client = new FrameioClient({ token, baseUrl: sandbox.url })
  t.teardown(() => client.close())
  const { id } = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const asset = client.getAsset(id)
  await new Promise(resolve => setTimeout(resolve, 50))
  const calls = () => sandbox.requests.map(({ operation }) => operation)
  t.strictSame(calls(), ['token'])
  save()
  t.match(await asset, { id })
  t.strictSame(calls(), ['token', 'get'])
})

t.test(
  'while saving fails nothing is refreshed again, so that no refresh token is lost',
  async t => {
    const sandbox = await sandboxFor(t)
    const saved: string[] = []
    const token = refreshingToken({
      ...optionsFor(sandbox, []),
      save: async refreshToken => {
        saved.push(refreshToken)
        if (saved.length < 3) throw new Error('the disk is full')
      },
    })
    await t.rejects(token(), { message: 'the disk is full' })
    await t.rejects(token(), { message: 'the disk is full' })
    t.equal(await token(), sandbox.token)
    t.strictSame(saved, Array(3).fill(sandbox.credentials.refreshToken))
    t.equal(sandbox.requests.length, 1, 'one refresh')
  },
)

t.test('questions at once share one refresh', async t => {
  const sandbox = await sandboxFor(t, { latency: { api: 20 } })
  const token = refreshingToken(optionsFor(sandbox, []))
  t.strictSame(await Promise.all([token(), token(), token()]), Array(3).fill(sandbox.token))
  t.equal(sandbox.requests.length, 1)
})

t.test('a token is replaced ahead of its expiry, while an upload goes on', async t => {
  const sandbox = await sandboxFor(t, { tokenLifetime: 3 }, SMALL)
  const { upload } = smallUpload(sandbox, { token: refreshingToken(optionsFor(sandbox, [])) })
  for (let i = 0; i < 40; i++) {
    upload.write(bytes(1_001))
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  upload.end()
  t.equal(await endOf(upload), undefined)
  const refreshes = sandbox.requests.filter(({ operation }) => operation === 'token')
  t.ok(refreshes.length >= 2, `${refreshes.length} refreshes`)
  t.notOk(
    sandbox.requests.some(({ status }) => status === 401),
    'none came too late',
  )
})

t.test('a 401 refreshes, once for all uploads of a client', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = new FrameioClient({
    token: refreshingToken(optionsFor(sandbox, [])),
    baseUrl: sandbox.url,
  })
  t.teardown(() => client.close())
  const uploads = Array.from({ length: 3 }, () => smallUpload(sandbox, { client }).upload)
  for (const upload of uploads) upload.write(bytes(2_500))
  await Promise.all(uploads.map(upload => new Promise(resolve => upload.once('part', resolve))))
  sandbox.renewToken()
  for (const upload of uploads) upload.end(bytes(2_500))
  for (const upload of uploads) t.equal(await endOf(upload), undefined)
  const refreshes = sandbox.requests.filter(({ operation }) => operation === 'token')
  t.equal(refreshes.length, 2)
})

t.test('what shares it has one token: one refresh, and one more where it is refused', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const token = refreshingToken(optionsFor(sandbox, []))
  const refreshes = () => sandbox.requests.filter(({ operation }) => operation === 'token').length
  for (let i = 0; i < 5; i++) {
    const { upload } = smallUpload(sandbox, { token })
    upload.end(bytes(10))
    t.equal(await endOf(upload), undefined)
  }
  t.equal(refreshes(), 1, 'five uploads one after the other')
  const clients = [1, 2, 3].map(() => new FrameioClient({ token, baseUrl: sandbox.url }))
  t.teardown(() => Promise.all(clients.map(client => client.close())))
  const { id } = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  for (const client of clients) t.match(await client.getAsset(id), { id })
  t.equal(refreshes(), 1, 'three clients')
  sandbox.renewToken()
  for (const client of clients) t.match(await client.getAsset(id), { id })
  t.equal(refreshes(), 2, 'three clients whose token was refused')
})

t.test('ahead of expiry a refresh that fails leaves the token that lives', async t => {
  const sandbox = await sandboxFor(t)
  const token = refreshingToken(optionsFor(sandbox, []))
  const first = await token()
  sandbox.faults.add({ on: 'token', times: 2, do: { status: 503 } })
  const { now } = performance
  t.teardown(() => {
    performance.now = now
  })
  const lead = 120_000
  performance.now = () => now.call(performance) + 28_800_000 - lead
  t.ok(performance.now() > token.renewAt)
  t.equal(await token(), first)
  t.equal(sandbox.requests.length, 2, 'a refresh was tried')
  await t.rejects(token(first), { code: 'ERR_SERVER' }, 'but not where that was refused')
  t.equal(await token(), sandbox.token)
})

t.test('a refused token that is no string is refused itself, and not shown', async t => {
  const token = refreshingToken({ clientId: 'c', refreshToken: 'r', save: () => {} })
  const odd = { hush: 'hush' } as unknown as string
  const message = /^refused must be a non-empty string; received object$/
  await t.rejects(token(odd), { code: 'ERR_INVALID_OPTION', message })
})

t.test('a refresh token that Frame.io refuses ends the upload at once', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const options = { ...optionsFor(sandbox, []), refreshToken: 'a-dead-refresh-token' }
  const { upload } = smallUpload(sandbox, { token: refreshingToken(options) })
  upload.end(bytes(10))
  const error = await endOf(upload)
  t.match(error, { code: 'ERR_UNAUTHORIZED', statusCode: 400, message: /authorised anew/ })
  t.equal(sandbox.requests.length, 1)
  t.notMatch(shown(error), /a-dead-refresh-token|sandbox-secret/)
})

t.test('a refresh that fails for the moment is tried again', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add(
    { on: 'token', nth: 1, do: { status: 503 } },
    { on: 'token', nth: 2, do: { reset: 'after' } },
    { on: 'token', nth: 3, do: { status: 429 } },
    { on: 'token', nth: 4, do: { status: 403, body: '<html>Log in to the Wi-Fi</html>' } },
    { on: 'token', nth: 5, do: { status: 200, body: '<html>Log in to the Wi-Fi</html>' } },
  )
  const retry = { ...QUICK, giveUpAfter: 60_000 }
  const { upload, seen } = smallUpload(sandbox, {
    retry,
    token: refreshingToken(optionsFor(sandbox, [])),
  })
  upload.end(bytes(10))
  t.equal(await endOf(upload), undefined)
  t.equal(seen.retry.length, 5)
  t.notMatch(seen.retry.map(({ error }) => shown(error)).join(), /sandbox-(secret|refresh|token)/)
})

t.test('what is sent: a form, without a secret where there is none', async t => {
  const forms: string[] = []
  const server = createServer((req, res) => {
    req.on('data', data => forms.push(String(data)))
    req.on('end', () => res.end('{"access_token":"a","refresh_token":"b"}'))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const token = refreshingToken({
    clientId: 'me & you',
    refreshToken: 'r1',
    save: () => {},
    baseUrl: `http://127.0.0.1:${port}/prefix/`,
  })
  t.equal(token.renewAt, Number.POSITIVE_INFINITY, 'nothing to replace yet')
  t.equal(await token(), 'a')
  t.ok(token.renewAt < performance.now() + 28_800_000, 'ahead of a life of eight hours')
  t.ok(token.renewAt > performance.now() + 28_000_000)
  t.equal(await token(), 'a')
  t.equal(forms.length, 1, 'it keeps what it has')
  t.equal(await token('a'), 'a')
  t.strictSame(forms, [
    'client_id=me+%26+you&grant_type=refresh_token&refresh_token=r1',
    'client_id=me+%26+you&grant_type=refresh_token&refresh_token=b',
  ])
})

t.test('it needs no global dispatcher, which may be that of another undici', async t => {
  // On Node 26 the one of Node's own undici stands there, and refuses what undici 7 asks of it.
  class Foreign extends Dispatcher {
    override dispatch(): boolean {
      throw new TypeError('opts.dispatcher is not supported by instance methods')
    }
  }
  const before = getGlobalDispatcher()
  setGlobalDispatcher(new Foreign())
  t.teardown(() => setGlobalDispatcher(before))
  const sandbox = await sandboxFor(t)
  const token = refreshingToken(optionsFor(sandbox, []))
  t.equal(await token(), sandbox.token)
  await until(() => sandbox.stats.openSockets === 0, 'its connection to be closed')
})

t.test('bad options are refused by name, and secrets are not shown', async t => {
  const good = { clientId: 'c', refreshToken: 'r', save: () => {} }
  const bad: [options: object, message: RegExp][] = [
    [{ clientId: '' }, /^clientId must be a non-empty string; received ''$/],
    [{ refreshToken: '' }, /^refreshToken must be a non-empty string; received an empty one$/],
    [{ clientSecret: { secret: 'hush' } }, /^clientSecret must be(?!.*hush).*received object$/],
    [{ save: undefined }, /^save must be a function; received undefined$/],
    [{ baseUrl: 'http://api.frame.io' }, /^baseUrl must be an https URL/],
    [{ baseUrl: null }, /^baseUrl must be an https URL/],
    [{ dispatcher: 5 }, /^dispatcher must be an undici Dispatcher/],
    [{ dispatcher: { dispatch: 5 } }, /^dispatcher must be an undici Dispatcher/],
    [{ refreshtoken: 'r' }, /^refreshtoken is not an option; did you mean refreshToken\?/],
  ]
  for (const [options, message] of bad) {
    const all = { ...good, ...options } as RefreshingTokenOptions
    t.throws(() => refreshingToken(all), { code: 'ERR_INVALID_OPTION', message })
  }
})
