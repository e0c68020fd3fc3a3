import { spawnSync } from 'node:child_process'
import {
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import {
  type DeviceTokensOptions,
  deviceTokens,
  pairDevice,
  saveDeviceTokens,
} from '../lib/index.ts'
import { lock } from '../lib/lock.ts'
import type { Sandbox, SandboxDevice, SandboxOptions } from '../lib/sandbox/index.ts'
import { bytes, endOf, SMALL, sandboxFor, shown, smallUpload, until } from './support/sandboxes.ts'
import { useTokens } from './support/token-users.ts'

type Tap = Pick<typeof t, 'teardown'>

const folderFor = async (t: Tap): Promise<string> => {
  const dir = await mkdtemp(join(tmpdir(), 'tokens-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** A device that is paired, with its tokens in a file. */
const pairedIn = async (t: Tap, options: SandboxOptions = {}) => {
  const sandbox = await sandboxFor(t, options, SMALL)
  const device = sandbox.devices.pair()
  const file = join(await folderFor(t), 'tokens.json')
  await saveDeviceTokens({ file, tokens: tokensOf(device) })
  return { sandbox, device, file, options: optionsFor(sandbox, device, file) }
}

const tokensOf = ({ accessToken, refreshToken }: SandboxDevice) => ({
  accessToken,
  refreshToken,
  lifetime: 28_800_000,
})

const optionsFor = (
  sandbox: Sandbox,
  { clientId }: SandboxDevice,
  file: string,
): DeviceTokensOptions => ({
  file,
  clientId,
  clientSecret: sandbox.credentials.clientSecret,
  clientVersion: '1.2.3',
  baseUrl: sandbox.url,
})

const inFile = async (file: string) => JSON.parse(await readFile(file, 'utf8'))

const refreshesOf = ({ requests }: Sandbox) =>
  requests.filter(({ operation }) => operation === 'token').length

t.test('tokens are kept for their owner alone, and what else stands there stays', async t => {
  const { device, file } = await pairedIn(t)
  t.match(await inFile(file), { ...tokensOf(device), expiresAt: /^\d{4}-.*Z$/ })
  t.equal((await stat(file)).mode & 0o777, 0o600)
  await writeFile(file, JSON.stringify({ clientId: 'c', accessToken: 'old' }), { mode: 0o644 })
  await writeFile(`${file}.new`, 'half of what a writer left that was ki', { mode: 0o644 })
  await saveDeviceTokens({ file, tokens: tokensOf(device) })
  t.match(await inFile(file), { clientId: 'c', ...tokensOf(device) })
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.strictSame((await readdir(join(file, '..'))).toSorted(), ['tokens.json', 'tokens.json.lock'])
})

t.test('who waits to save them can be aborted, and has written nothing then', async t => {
  const { device, file } = await pairedIn(t)
  const before = await inFile(file)
  const tokens = { ...tokensOf(device), accessToken: 'next' }
  const theirs = await lock(`${file}.lock`)
  const stop = new AbortController()
  const saving = saveDeviceTokens({ file, tokens, signal: stop.signal })
  setImmediate(() => stop.abort('enough'))
  await t.rejects(saving, { name: 'AbortError', cause: 'enough', message: /saving/ })
  await theirs.release()
  const late = saveDeviceTokens({ file, tokens, signal: AbortSignal.abort() })
  await t.rejects(late, { name: 'AbortError' })
  t.strictSame(await inFile(file), before)
  await (await lock(`${file}.lock`)).release() // Nobody has it.
})

t.test('a link stays a link', async t => {
  const { device, file } = await pairedIn(t)
  const link = `${file}.link`
  await symlink(file, link)
  await saveDeviceTokens({ file: link, tokens: { ...tokensOf(device), accessToken: 'next' } })
  t.match(await inFile(file), { accessToken: 'next' })
  t.ok((await readdir(join(file, '..'))).includes('tokens.json.link'))

  const [early, later] = [`${file}.early`, `${file}.later`]
  await symlink('tokens.json.later', early)
  await saveDeviceTokens({ file: early, tokens: tokensOf(device) })
  t.equal(await readlink(early), 'tokens.json.later', 'also one that led nowhere yet')
  t.match(await inFile(later), tokensOf(device))

  const loop = `${file}.loop`
  await symlink(loop, loop)
  const saved = saveDeviceTokens({ file: loop, tokens: tokensOf(device) })
  await t.rejects(saved, { code: 'ERR_INVALID_OPTION', message: /ELOOP/ })
})

t.test('a byte order mark is none of the JSON, and goes', async t => {
  const { device, file, options } = await pairedIn(t)
  await writeFile(file, `\ufeff${await readFile(file, 'utf8')}`)
  t.equal(await deviceTokens(options)(), device.accessToken)
  await saveDeviceTokens({ file, tokens: tokensOf(device) })
  t.match(await inFile(file), tokensOf(device))
})

t.test('what is no regular file is refused, and never opened', async t => {
  const { device, file, options } = await pairedIn(t)
  const fifo = `${file}.fifo`
  spawnSync('mkfifo', [fifo])
  for (const odd of [fifo, dirname(file), '/dev/zero']) {
    const message = /^file must be a regular file: new tokens replace it; received /
    const refused = { code: 'ERR_INVALID_OPTION', option: 'file', message }
    await t.rejects(deviceTokens({ ...options, file: odd })(), refused)
  }
  const saved = saveDeviceTokens({ file: fifo, tokens: tokensOf(device) })
  await t.rejects(saved, { code: 'ERR_INVALID_OPTION', option: 'file' })
})

t.test('a file that somebody is editing ends no upload', async t => {
  const { sandbox, device, file, options } = await pairedIn(t)
  const kept = await readFile(file, 'utf8')
  const { upload, seen } = smallUpload(sandbox, { token: deviceTokens(options), device: {} })
  upload.write(bytes(2_500))
  await until(() => upload.progress.partsUploaded > 0, 'a part')
  await writeFile(file, '{ "accessToken": "hu')
  device.expire()
  upload.write(bytes(2_500))
  await until(() => seen.retry.length > 1, 'a refusal, and then no token')
  t.match(shown(seen.retry.at(-1)), /must be a file of JSON/)
  t.notMatch(shown(seen.retry), /"hu/)
  await writeFile(file, kept)
  upload.end()
  t.equal(await endOf(upload), undefined)
  t.equal(device.refreshes, 1)
})

t.test('a token that lives is used, and one that is refused is replaced in the file', async t => {
  const { sandbox, device, file, options } = await pairedIn(t)
  const token = deviceTokens(options)
  const first = await token()
  t.equal(first, device.accessToken)
  t.equal(refreshesOf(sandbox), 0)
  device.expire()
  const next = await token(first)
  t.equal(next, device.accessToken)
  t.not(next, first)
  t.match(await inFile(file), tokensOf(device))
  t.match(sandbox.requests.at(-1)?.headers, { 'x-client-version': '1.2.3' })
})

t.test('ahead of expiry a token is replaced, whoever wrote it', async t => {
  const { sandbox, device, file, options } = await pairedIn(t)
  const kept = await inFile(file)
  const soon = new Date(Date.now() + 60_000).toISOString()
  await writeFile(file, JSON.stringify({ ...kept, expiresAt: soon }))
  t.equal(await deviceTokens(options)(), device.accessToken)
  t.equal(refreshesOf(sandbox), 1)
  t.equal(device.refreshes, 1)
})

t.test('an upload goes on where its token has ended', async t => {
  const { sandbox, device, options } = await pairedIn(t)
  const { upload } = smallUpload(sandbox, {
    token: deviceTokens(options),
    device: { clientVersion: '1.2.3' },
  })
  upload.write(bytes(2_500))
  await new Promise(resolve => upload.once('part', resolve))
  device.expire()
  upload.end(bytes(2_500))
  t.equal(await endOf(upload), undefined)
  t.equal(device.refreshes, 1)
})

t.test('who gets a 401 since another has refreshed takes its token, without a refresh', async t => {
  const { sandbox, device, options } = await pairedIn(t)
  const [one, other] = [deviceTokens(options), deviceTokens(options)]
  const old = await one()
  t.equal(await other(), old)
  device.expire()
  await one(old)
  t.equal(await other(old), device.accessToken)
  t.equal(refreshesOf(sandbox), 1)
})

t.test('many at once make one refresh', async t => {
  const { sandbox, device, options } = await pairedIn(t, { latency: { api: 30 } })
  const all = Array.from({ length: 8 }, () => deviceTokens(options))
  const [old = ''] = await Promise.all(all.map(token => token()))
  device.expire()
  const next = await Promise.all(all.map(token => token(old)))
  t.strictSame(new Set(next), new Set([device.accessToken]))
  t.equal(refreshesOf(sandbox), 1)
  t.equal(device.reused, 0)
})

t.test('a new pair is not used, and nobody else refreshes, before it is in the file', async t => {
  const { sandbox, device, file, options } = await pairedIn(t)
  const token = deviceTokens(options)
  const old = await token()
  device.expire()
  const kept = await readFile(file, 'utf8')
  sandbox.faults.add({ on: 'token', do: { delay: 300 } })
  const renewed = token(old)
  await until(() => sandbox.faults.fired.length > 0, 'the refresh')
  await rm(file)
  await writeFile(file, 'no JSON')
  await t.rejects(renewed, { message: /^file must be a file of JSON/, code: undefined })
  await t.rejects(lock(`${file}.lock`), { code: 'ERR_SPOOL_IN_USE' }, 'locked')
  await writeFile(file, kept)
  t.equal(await token(old), device.accessToken)
  t.match(await inFile(file), tokensOf(device))
  t.equal(refreshesOf(sandbox), 1)
  await (await lock(`${file}.lock`)).release()
})

t.test('a refresh that was lost on its way there is made again', async t => {
  const { sandbox, device, options } = await pairedIn(t)
  sandbox.faults.add({ on: 'token', do: { reset: 'after' } })
  device.expire()
  t.equal(await deviceTokens(options)(device.accessToken), device.accessToken)
  const token = deviceTokens(options)
  const old = await token()
  device.expire()
  t.equal(await token(old), device.accessToken)
  t.equal(device.reused, 0)
})

t.test('where the answer to a refresh is lost, the device must be paired again', async t => {
  const { sandbox, device, file, options } = await pairedIn(t, { pairing: { interval: 0.001 } })
  const token = deviceTokens(options)
  const old = await token()
  const { refreshToken } = device
  sandbox.faults.add({ on: 'token', do: { loseAnswer: true } })
  device.expire()
  const error = await token(old).then(
    () => undefined,
    (error: Error) => error,
  )
  const message = /answer to a refresh was lost: pair the device again$/
  t.match(error, { code: 'ERR_NOT_PAIRED', statusCode: 400, path: file, message })
  t.equal(refreshesOf(sandbox), 2, 'once more, and no more')
  t.notOk(shown(error).includes(refreshToken))
  t.notMatch(shown(error), /sandbox-(secret|device)/)

  const { clientId, clientSecret = '', baseUrl } = options
  const onCode = ({ userCode }: { userCode: string }) => void sandbox.devices.enter(userCode)
  const { tokens } = await pairDevice({ clientId, clientSecret, baseUrl, onCode })
  await saveDeviceTokens({ file, tokens })
  t.equal(await token(old), device.accessToken, 'paired again, it goes on')
})

t.test('what ends it, and what may pass', async t => {
  const { sandbox, device, file, options } = await pairedIn(t)
  const { accessToken } = device
  const token = deviceTokens(options)
  await token()
  device.expire()
  sandbox.faults.add({ on: 'token', do: { status: 429 } })
  await t.rejects(token(accessToken), { code: 'ERR_SERVER', statusCode: 429 })
  sandbox.faults.add({ on: 'token', times: 2, do: { status: 503 } })
  await t.rejects(token(accessToken), { code: 'ERR_SERVER', statusCode: 503 })
  sandbox.faults.add({ on: 'token', do: { status: 401, body: { error: 'invalid_client' } } })
  const message = /check clientId and clientSecret$/
  await t.rejects(token(accessToken), { code: 'ERR_UNAUTHORIZED', message })
  sandbox.faults.add({ on: 'token', do: { status: 401, body: { error: 'unauthorized' } } })
  await t.rejects(token(accessToken), { code: 'ERR_NOT_PAIRED', statusCode: 401 })
  t.equal(await token(accessToken), device.accessToken)

  const missing = deviceTokens({ ...options, file: `${file}.none` })
  await t.rejects(missing(), { code: 'ERR_NOT_PAIRED', message: /There are no tokens in .*\.none/ })
  await writeFile(file, '["hush"]')
  const odd = await deviceTokens(options)().catch(error => error)
  t.match(odd, { code: 'ERR_INVALID_OPTION', option: 'file' })
  t.notMatch(shown(odd), /hush/)
})

t.test('an upload of a device that is not paired ends at once', async t => {
  const { sandbox, file, options } = await pairedIn(t)
  await rm(file)
  const { upload } = smallUpload(sandbox, { token: deviceTokens(options), device: {} })
  upload.end(bytes(10))
  t.match(await endOf(upload), { code: 'ERR_NOT_PAIRED' })
})

t.test(
  'processes that share a file and are killed make no refresh twice',
  { timeout: 200_000 },
  async t => {
    const seed = Date.now() % 2 ** 31
    const found = await useTokens({ processes: 3, refreshes: 8, kill: true, seed })
    t.comment(found.said)
    t.equal(found.violation, undefined, `SEED=${seed}`)
    t.ok(found.refreshes >= 8)
  },
)

t.test('bad options are refused by name, and secrets are not shown', async t => {
  const good = { file: 'f', clientId: 'c' }
  const bad: [options: object, message: RegExp][] = [
    [{ file: '' }, /^file must be the path of a file; received ''$/],
    [{ clientId: 5 }, /^clientId must be a non-empty string; received 5$/],
    [{ clientSecret: { hush: 1 } }, /^clientSecret must be(?!.*hush).*received object$/],
    [{ clientVersion: 'x' }, /^clientVersion must be a semantic version/],
    [{ baseUrl: 'http://api.frame.io' }, /^baseUrl must be an https URL/],
    [{ dispatcher: 5 }, /^dispatcher must be an undici Dispatcher/],
    [{ File: 'f' }, /^File is not an option; did you mean file\?/],
  ]
  for (const [options, message] of bad) {
    const all = { ...good, ...options } as DeviceTokensOptions
    t.throws(() => deviceTokens(all), { code: 'ERR_INVALID_OPTION', message })
  }
  const tokens = { accessToken: 'hush', refreshToken: 'hush', lifetime: 1 }
  const saves: [options: object, message: RegExp][] = [
    [{ tokens }, /^file must be the path/],
    [{ file: 'f', tokens: { ...tokens, lifetime: 0 } }, /^tokens\.lifetime must be a positive/],
    [{ file: 'f', tokens: { ...tokens, accessToken: 5 } }, /^tokens\.accessToken must be/],
    [{ file: 'f', tokens: { ...tokens, more: 1 } }, /^tokens\.more is not an option/],
    [{ file: '/proc/none/f', tokens }, /^file must be one that can be read and written; .*ENOENT/],
  ]
  for (const [options, message] of saves) {
    const saved = saveDeviceTokens(options as Parameters<typeof saveDeviceTokens>[0])
    await t.rejects(saved, { code: 'ERR_INVALID_OPTION', message })
  }
})
