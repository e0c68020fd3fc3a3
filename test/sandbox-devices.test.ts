/**
 * The sandbox plays Camera to Cloud devices as Frame.io does: pairing, tokens, what a device may not
 * do, pauses and presence.
 */
import t from 'tap'
import { request } from 'undici'
import type { Sandbox, SandboxDevice } from '../lib/sandbox/index.ts'
import { boot, call, mp4, until } from './sandbox-kit.ts'

const VERSION = { 'x-client-version': '1.2.3' }
const CLIP = { name: 'a.mp4', filetype: 'video/mp4', is_realtime_upload: true }
const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
/** Polls as fast as a test likes, but for those that wait for `slow_down`. */
const QUICK = { pairing: { interval: 0.001 } }

const post = async (
  sandbox: Sandbox,
  path: string,
  form: Record<string, string>,
  headers: Record<string, string> = VERSION,
) => {
  const known = { client_id: 'device-1', client_secret: sandbox.credentials.clientSecret }
  const answer = await request(sandbox.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams({ ...known, ...form }).toString(),
  })
  return { status: answer.statusCode, json: (await answer.body.json()) as Record<string, string> }
}

const askCode = (sandbox: Sandbox, form = {}, headers = VERSION) =>
  post(sandbox, '/v2/auth/device/code', { scope: 'asset_create offline', ...form }, headers)

const poll = async (sandbox: Sandbox, deviceCode = '', form = {}) => {
  await new Promise(resolve => setTimeout(resolve, 3))
  const all = { grant_type: GRANT, device_code: deviceCode, ...form }
  return post(sandbox, '/v2/auth/token', all)
}

const as = (
  sandbox: Sandbox,
  device: SandboxDevice,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
) =>
  call(sandbox, method, path, body, { ...VERSION, authorization: `Bearer ${device.accessToken}` })

t.test('a device asks for a code, a person enters it, and the device has tokens', async t => {
  const sandbox = await boot(t, QUICK)
  const { status, json } = await askCode(sandbox)
  t.equal(status, 200)
  t.match(json, { user_code: /^\d{6}$/, expires_in: 120, interval: 0.001, device_code: String })
  t.notOk('verification_uri' in json, 'a link comes where it is asked for')
  t.match(await poll(sandbox, json.device_code), {
    status: 400,
    json: { error: 'authorization_pending' },
  })
  t.strictSame(sandbox.devices.waiting, [json.user_code])
  const device = sandbox.devices.enter(String(json.user_code), { name: 'Cam A' })
  const tokens = await poll(sandbox, json.device_code)
  t.match(tokens, {
    status: 200,
    json: {
      access_token: device.accessToken,
      refresh_token: device.refreshToken,
      token_type: 'bearer',
      expires_in: 28_800,
    },
  })
  t.match(await as(sandbox, device, 'GET', '/v2/devices/me'), {
    status: 200,
    json: {
      name: 'Cam A',
      status: 'online',
      project: { id: String, name: String },
      authorization: { expires_at: String },
      channels: [{ channel: 0, status: 'active' }],
    },
  })
  t.match(await poll(sandbox, json.device_code), { json: { error: 'invalid_grant' } }, 'once')
  t.strictSame(
    sandbox.requests.map(({ operation }) => operation),
    ['code', 'poll', 'poll', 'device', 'poll'],
  )
})

t.test('a link comes with the code where it is asked for', async t => {
  const sandbox = await boot(t)
  const { json } = await askCode(
    sandbox,
    {},
    { ...VERSION, ...{ 'x-client-platypus-enabled': 'true' } },
  )
  t.match(json.verification_uri, /^https:/)
  t.match(json.verification_uri_complete, json.user_code)
})

t.test('what a device must not send, with the word that refuses it', async t => {
  const sandbox = await boot(t, QUICK)
  const { json } = await askCode(sandbox)
  const cases: [answer: Awaited<ReturnType<typeof post>>, error: string][] = [
    [await askCode(sandbox, { client_secret: 'other' }), 'invalid_client'],
    [await askCode(sandbox, { client_id: '' }), 'invalid_request'],
    [await askCode(sandbox, { client_id: 'me@example.com' }), 'invalid_request'],
    [await askCode(sandbox, { client_id: '00:1b:44:11:3a:b7' }), 'invalid_request'],
    [await askCode(sandbox, { scope: 'asset_create' }), 'invalid_scope'],
    [await poll(sandbox, json.device_code, { client_secret: 'other' }), 'invalid_client'],
    [await poll(sandbox, 'no such code'), 'invalid_grant'],
    [await poll(sandbox, json.device_code, { client_id: 'device-2' }), 'invalid_grant'],
    [await poll(sandbox, json.device_code, { grant_type: 'x' }), 'unsupported_grant_type'],
  ]
  for (const [answer, error] of cases) t.match(answer, { status: 400, json: { error } })
  const noVersion = await post(sandbox, '/v2/auth/device/code', {}, {})
  t.match(noVersion, { status: 400, json: { errors: [{ detail: /x-client-version/ }] } })
})

t.test('who polls too fast is told so, and again until it waits five seconds more', async t => {
  const sandbox = await boot(t)
  const { json } = await askCode(sandbox)
  t.match(await poll(sandbox, json.device_code), { json: { error: 'slow_down' } })
  t.match(await poll(sandbox, json.device_code), { json: { error: 'slow_down' } })
})

t.test('a code expires, may be declined, and is entered once', async t => {
  const sandbox = await boot(t, QUICK)
  const first = await askCode(sandbox)
  sandbox.devices.expire()
  t.throws(() => sandbox.devices.enter(String(first.json.user_code)), /none does/)
  t.match(await poll(sandbox, first.json.device_code), { json: { error: 'expired_token' } })

  const second = await askCode(sandbox)
  sandbox.devices.deny(String(second.json.user_code))
  t.match(await poll(sandbox, second.json.device_code), { json: { error: 'access_denied' } })

  const third = await askCode(sandbox)
  const { id } = sandbox.devices.enter(String(third.json.user_code))
  t.throws(() => sandbox.devices.enter(String(third.json.user_code)), /code must be one that waits/)
  await poll(sandbox, third.json.device_code)
  const fourth = await askCode(sandbox)
  t.equal(sandbox.devices.enter(String(fourth.json.user_code)).id, id, 'paired again: the same one')
})

t.test('a refresh ends both tokens before it, at once', async t => {
  const sandbox = await boot(t)
  const device = sandbox.devices.pair()
  const { accessToken, refreshToken } = device
  const refresh = (token: string, clientId = device.clientId) =>
    post(sandbox, '/v2/auth/token', {
      grant_type: 'refresh_token',
      refresh_token: token,
      client_id: clientId,
    })
  const { status, json } = await refresh(refreshToken)
  t.equal(status, 200)
  t.strictSame([json.access_token, json.refresh_token], [device.accessToken, device.refreshToken])
  const me = (token: string) =>
    call(sandbox, 'GET', '/v2/devices/me', undefined, {
      ...VERSION,
      authorization: `Bearer ${token}`,
    })
  t.match(await me(accessToken), { status: 401 })
  t.match(await me(device.accessToken), { status: 200 })
  t.match(await refresh(refreshToken), { status: 400, json: { error: 'invalid_request' } }, 'used')
  t.match(await refresh('unknown'), { status: 400, json: { error: 'invalid_grant' } })
  t.match(await refresh(device.refreshToken, 'x'), { json: { error: 'invalid_grant' } })
  t.match(device, { refreshes: 1, reused: 1 })
  device.expire()
  t.match(await me(device.accessToken), { status: 401 })
})

t.test('a token that is revoked ends the pairing', async t => {
  const sandbox = await boot(t)
  const device = sandbox.devices.pair()
  const revoke = (token: string) =>
    post(sandbox, '/v2/auth/revoke', { token, client_id: device.clientId })
  t.match(await revoke('unknown'), { status: 200 }, 'of no token it is no failure')
  t.equal(device.isPaired, true)
  t.match(await revoke(device.refreshToken), { status: 200 })
  t.equal(device.isPaired, false)
  t.match(await as(sandbox, device, 'GET', '/v2/devices/me'), { status: 401 })
})

t.test('a device may write, and not read', async t => {
  const sandbox = await boot(t)
  const device = sandbox.devices.pair()
  const created = await as(sandbox, device, 'POST', '/v2/devices/assets', { ...CLIP, offset: 3 })
  t.equal(created.status, 200)
  const { id } = created.json
  t.match(sandbox.asset(id), { offset: 3, channel: undefined })
  const parts = [{ number: 1, size: 4, is_final: false }]
  const path = `assets/${id}/realtime_upload/parts`
  t.match(await as(sandbox, device, 'POST', `/v2/devices/${path}`, { parts }), { status: 200 })
  t.match(await as(sandbox, device, 'POST', `/v2/${path}`, { parts }), { status: 403 })
  t.match(await as(sandbox, device, 'GET', `/v2/assets/${id}`), { status: 403 })
  t.match(await as(sandbox, device, 'DELETE', `/v2/assets/${id}`), { status: 403 })
  const patch = await request(`${sandbox.url}/v2/assets/${id}`, {
    method: 'PATCH',
    headers: { ...VERSION, authorization: `Bearer ${device.accessToken}` },
  })
  await patch.body.dump()
  t.equal(patch.statusCode, 403)
  t.match(await call(sandbox, 'GET', '/v2/devices/me', undefined, VERSION), {
    status: 403,
    detail: /no device's/,
  })
})

t.test('what is recorded during a pause is refused; the offset says when that was', async t => {
  const sandbox = await boot(t)
  const device = sandbox.devices.pair({ channels: 2 })
  const create = (more = {}) =>
    as(sandbox, device, 'POST', '/v2/devices/assets', { ...CLIP, ...more })
  device.pause(1)
  t.match(await create(), { status: 200 })
  t.match(await create({ channel: 1 }), {
    status: 409,
    json: { errors: [{ status: 409, title: 'Channel Paused' }] },
  })
  t.match(await create({ channel: 2 }), { status: 400, detail: /channel must be less than 2/ })
  t.equal(device.status, 'online', 'one channel is not the device')
  t.throws(() => device.pause(2), /channel must be one of/)
  device.resume()
  t.match(await create({ channel: 1 }), { status: 200 })

  sandbox.devices.pause()
  t.equal(device.status, 'paused')
  t.match(await create(), { status: 409 })
  t.match(await create({ offset: 60 }), { status: 200 }, 'recorded before it')
  sandbox.devices.resume()
  t.match(await create(), { status: 200 })
})

t.test(
  'a device counts as offline some time after its last call, and heartbeats have a limit',
  async t => {
    const sandbox = await boot(t, { presence: { offlineAfter: 0.05, heartbeatEvery: 3_600 } })
    const device = sandbox.devices.pair()
    await until(() => device.status === 'offline')
    t.match(await as(sandbox, device, 'POST', '/v2/devices/heartbeat'), { status: 204, text: '' })
    t.equal(device.status, 'online')
    t.match(await as(sandbox, device, 'POST', '/v2/devices/heartbeat'), { status: 429 })
    t.equal(device.heartbeats, 1)
  },
)

t.test('pairing has its faults, as all else', async t => {
  const sandbox = await boot(t, QUICK)
  sandbox.faults.add(
    { on: 'code', do: { status: 503 } },
    { on: 'poll', do: { status: 400, body: { error: 'slow_down' } } },
    { on: 'heartbeat', do: { status: 500 } },
    { on: 'device', do: { status: 404 } },
    { on: 'revoke', do: { status: 400, body: { error: 'invalid_client' } } },
  )
  t.match(await askCode(sandbox), { status: 503 })
  const { json } = await askCode(sandbox)
  t.match(await poll(sandbox, json.device_code), { json: { error: 'slow_down' } })
  t.match(await poll(sandbox, json.device_code), { json: { error: 'authorization_pending' } })
  const device = sandbox.devices.pair()
  t.match(await as(sandbox, device, 'POST', '/v2/devices/heartbeat'), { status: 500 })
  t.match(await as(sandbox, device, 'GET', '/v2/devices/me'), { status: 404 })
  t.match(await post(sandbox, '/v2/auth/revoke', { token: 'x' }), { status: 400 })
})

t.test('bad options of pairing are refused by name', async t => {
  await t.rejects(boot(t, { pairing: { interval: 0 } }), /options\.pairing\.interval must be/)
  await t.rejects(boot(t, { presence: { often: 1 } as object }), /options\.presence has no field/)
  const sandbox = await boot(t)
  t.throws(() => sandbox.devices.pair({ channels: 0 }), /options\.channels must be an integer/)
  t.ok(mp4(sandbox))
})
