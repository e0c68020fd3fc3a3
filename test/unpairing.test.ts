/**
 * A device is let go: Frame.io ends its tokens, and then they leave their file.
 */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  deviceTokens,
  saveDeviceTokens,
  type UnpairDeviceOptions,
  unpairDevice,
} from '../lib/index.ts'
import { lock } from '../lib/lock.ts'
import type { Fault, Sandbox } from '../lib/sandbox/index.ts'
import { folderFor, QUICK, sandboxFor, shown, until } from './support/sandboxes.ts'

/** A device that is paired, with its tokens in a file that holds something else as well. */
const pairedIn = async (tap: Pick<typeof t, 'teardown'>) => {
  const sandbox = await sandboxFor(tap)
  const device = sandbox.devices.pair()
  const { accessToken, refreshToken, clientId } = device
  const file = join(await folderFor(tap), 'device.json')
  await writeFile(file, JSON.stringify({ clientId, theirs: { b: 1 } }), { mode: 0o644 })
  const tokens = { accessToken, refreshToken, lifetime: 28_800_000 }
  await saveDeviceTokens({ file, tokens })
  const options: UnpairDeviceOptions = {
    file,
    clientId,
    clientSecret: sandbox.credentials.clientSecret,
    clientVersion: '1.2.3',
    baseUrl: sandbox.url,
    retry: QUICK,
  }
  const rest = { clientId, theirs: { b: 1 } }
  return { sandbox, device, file, tokens, options, rest }
}

const inFile = async (file: string) => JSON.parse(await readFile(file, 'utf8'))

const callsOf = ({ requests }: Sandbox) => requests.map(({ operation }) => operation)

/** What another process asks for. */
const ask = (
  { baseUrl, clientId, clientSecret = '' }: UnpairDeviceOptions,
  what: 'token' | 'revoke',
  form: Record<string, string>,
) =>
  fetch(`${baseUrl}/v2/auth/${what}`, {
    method: 'POST',
    headers: { 'x-client-version': '1.2.3' },
    body: new URLSearchParams({ ...form, client_id: clientId, client_secret: clientSecret }),
  })

/** Is this access token dead? */
const unauthorised = async ({ url }: Sandbox, token: string) => {
  const headers = { authorization: `Bearer ${token}`, 'x-client-version': '1.2.3' }
  return (await fetch(`${url}/v2/devices/me`, { headers })).status === 401
}

t.test('the tokens are revoked and leave the file; all else stays in it', async t => {
  const { sandbox, device, file, options, rest } = await pairedIn(t)
  t.equal(await unauthorised(sandbox, device.accessToken), false)
  t.equal(await unpairDevice(options), true)
  t.strictSame(await inFile(file), rest)
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.strictSame(await readdir(join(file, '..')), ['device.json', 'device.json.lock'])
  t.match(sandbox.requests.at(-1), {
    operation: 'revoke',
    headers: { 'x-client-version': '1.2.3' },
  })
  t.equal(await unauthorised(sandbox, device.accessToken), true)
  const used = deviceTokens({
    file,
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    baseUrl: options.baseUrl,
  })
  await t.rejects(used(), { code: 'ERR_NOT_PAIRED', message: /There are no tokens in/ })
  const before = sandbox.requests.length
  t.equal(await unpairDevice(options), false, 'once more there is nothing to be done')
  t.equal(sandbox.requests.length, before)
})

t.test('where there is no file nothing is made, not even a lock', async t => {
  const { options } = await pairedIn(t)
  const dir = await folderFor(t)
  t.equal(await unpairDevice({ ...options, file: join(dir, 'none.json') }), false)
  t.strictSame(await readdir(dir), [])
})

const word = (error: string): Fault['do'] => ({ status: 400, body: { error } })

for (const [said, answer] of [
  ['revoked by a person', undefined],
  ['an unknown token', word('invalid_grant')],
  ['a used one', word('invalid_request')],
  ['a dead one', { status: 401, body: { error: 'invalid_token' } }],
  ['an answer without a body', { status: 200, body: '' }],
] as const) {
  t.test(`${said}: it is forgotten all the same`, async t => {
    const { sandbox, device, file, options, rest } = await pairedIn(t)
    if (answer) sandbox.faults.add({ on: 'revoke', do: answer })
    else await ask(options, 'revoke', { token: device.refreshToken })
    t.equal(await unpairDevice(options), true)
    t.strictSame(await inFile(file), rest)
  })
}

for (const [answer, code, message] of [
  [word('invalid_client'), 'ERR_UNAUTHORIZED', /tokens stay where they are.*check clientId and/],
  [{ status: 401, body: { error: 'bad client' } }, 'ERR_UNAUTHORIZED', /answered 401 \(bad client/],
  [{ status: 503 }, 'ERR_SERVER', /answered 503/],
  [{ reset: 'after' }, 'ERR_NETWORK', /Unpairing failed, and the tokens stay where they are/],
  [
    { status: 200, body: '<html>Wi-Fi</html>', headers: { 'content-type': 'text/html' } },
    'ERR_BAD_RESPONSE',
    /answered 200/,
  ],
  [{ status: 404, body: '<html>Wi-Fi</html>' }, 'ERR_BAD_RESPONSE', /answered 404/],
] as [Fault['do'], string, RegExp][]) {
  t.test(`${JSON.stringify(answer)}: it fails, and the tokens stay`, async t => {
    const { sandbox, file, tokens, options } = await pairedIn(t)
    sandbox.faults.add({ on: 'revoke', times: Infinity, do: answer })
    const error = await unpairDevice(options).catch(error => error)
    t.match(error, { name: 'RealtimeUploadError', code, message })
    t.notMatch(shown(error), /sandbox-(secret|device)/, 'it tells no secret')
    t.match(await inFile(file), tokens)
    await until(() => sandbox.stats.openSockets === 0, 'its connections to be closed')
  })
}

t.test('a token that comes back in a refusal is not shown', async t => {
  const { sandbox, device, options } = await pairedIn(t)
  const body = { error: `no client has ${device.refreshToken}` }
  sandbox.faults.add({ on: 'revoke', do: { status: 400, body } })
  const error = await unpairDevice(options).catch(error => error)
  t.match(error, { message: /no client has \[redacted\]/ })
  t.notOk(shown(error).includes(device.refreshToken))
})

t.test('who refreshes them is waited for: what it got is revoked', async t => {
  const { sandbox, device, file, options, rest } = await pairedIn(t)
  const theirs = await lock(`${file}.lock`)
  const unpairing = unpairDevice(options)
  const refresh = { grant_type: 'refresh_token', refresh_token: device.refreshToken }
  await ask(options, 'token', refresh)
  const { accessToken, refreshToken } = device
  await writeFile(file, JSON.stringify({ ...(await inFile(file)), accessToken, refreshToken }))
  t.strictSame(callsOf(sandbox), ['token'])
  await theirs.release()
  t.equal(await unpairing, true)
  t.equal(await unauthorised(sandbox, accessToken), true)
  t.strictSame(await inFile(file), rest)
})

t.test('it can be cancelled at each step, and nothing is in flight then', async t => {
  const { sandbox, file, tokens, options } = await pairedIn(t)
  const cancelled = async (when: () => boolean) => {
    const stop = new AbortController()
    const unpairing = unpairDevice({ ...options, signal: stop.signal })
    await until(when)
    stop.abort('enough')
    await t.rejects(unpairing, { name: 'AbortError', cause: 'enough', message: /unpairing/ })
    await until(() => sandbox.stats.openSockets === 0, 'its connections to be closed')
    t.match(await inFile(file), tokens)
  }
  const theirs = await lock(`${file}.lock`)
  await cancelled(() => true)
  await theirs.release()
  sandbox.faults.add({ on: 'revoke', do: { hang: 'answer' } })
  await cancelled(() => sandbox.faults.fired.length > 0)
  await (await lock(`${file}.lock`)).release() // It has been let go of.
})

t.test('bad options are refused by name, and files that are none by their path', async t => {
  const { file, options } = await pairedIn(t)
  const bad: [more: object, message: RegExp][] = [
    [{ file: '' }, /^file must be the path of a file/],
    [{ signal: 5 }, /^signal must be an AbortSignal/],
    [{ retry: { giveUpAfter: -1 } }, /^retry\.giveUpAfter must be/],
    [{ File: 5 }, /^File is not an option; did you mean file\?/],
    [{ file: join(file, '..') }, /^file must be a regular file: .*, which is none$/],
  ]
  for (const [more, message] of bad) {
    await t.rejects(unpairDevice({ ...options, ...more }), { code: 'ERR_INVALID_OPTION', message })
  }
  await writeFile(file, 'sandbox-secret')
  const error = await unpairDevice(options).catch(error => error)
  t.match(error, { option: 'file', message: /^file must be a file of JSON with an object in it/ })
  t.notMatch(shown(error), 'sandbox-secret')
})
