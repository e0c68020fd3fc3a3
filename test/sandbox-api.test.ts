import { readdir } from 'node:fs/promises'
import t from 'tap'
import {
  boot,
  call,
  dial,
  looseFiles,
  mp4,
  partsPath,
  put,
  register,
  until,
  urlFor,
} from './sandbox-kit.ts'

const CREATE = { type: 'file', name: 'a.mp4', filetype: 'video/mp4', is_realtime_upload: true }
const DEVICE = { name: 'a.mp4', filetype: 'video/mp4', is_realtime_upload: true }
const VERSION = { 'x-client-version': '1.2.3' }

t.test('who does not bear the token gets 401, in the short form', async t => {
  const sandbox = await boot(t)
  const path = partsPath(mp4(sandbox).id)
  for (const authorization of [undefined, 'Bearer nonsense', sandbox.token]) {
    const { status, json } = await call(sandbox, 'POST', path, {}, { authorization })
    t.equal(status, 401)
    t.type(json.error, 'string')
  }
  const old = sandbox.token
  const renewed = sandbox.renewToken()
  t.not(renewed, old)
  t.equal(sandbox.token, renewed)
  const stale = await call(sandbox, 'GET', '/', undefined, { authorization: `Bearer ${old}` })
  t.equal(stale.status, 401)
  t.equal((await call(sandbox, 'GET', '/')).status, 404)
})

t.test('what is not there is 404, in the long form', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const { status, json } = await register(sandbox, 'unknown', [[1, 4]])
  t.equal(status, 404)
  t.strictSame(json, {
    code: 404,
    errors: [{ code: 404, detail: 'there is no such asset', status: 404, title: 'Not Found' }],
    message: 'Not Found',
  })
  t.match(await call(sandbox, 'GET', '/v2/assets/unknown'), { status: 404 })
  t.match(await call(sandbox, 'DELETE', '/v2/assets/unknown'), { status: 404 })
  t.match(await call(sandbox, 'GET', '/v2/assets/unknown/download'), { status: 404 })
  t.match(await call(sandbox, 'GET', partsPath(asset.id)), { status: 404, detail: /route/ })
  t.match(await call(sandbox, 'POST', '/v2/assets/unknown/children', CREATE), {
    status: 404,
    detail: /folder/,
  })
})

t.test('an asset is created, shown, and deleted', async t => {
  const sandbox = await boot(t)
  const created = await call(sandbox, 'POST', `/v2/assets/${sandbox.parentId}/children`, CREATE)
  t.equal(created.status, 200)
  t.match(created.json, { name: 'a.mp4', filetype: 'video/mp4', status: 'created', filesize: null })
  const { id } = created.json
  const shown = await call(sandbox, 'GET', `/v2/assets/${id}`)
  t.match(shown.json, { id, upload_completed_at: null, upload_failed_at: null })
  t.type(shown.json.uploaded_at, 'string', 'the trap: it is set at creation')
  t.match(await call(sandbox, 'GET', `/v2/assets/${id}/download`), { status: 409 })

  const { urls } = await register(sandbox, id, [[1, 2, true]], { asset_filesize: 2 })
  await put(String(urls[0]), 'ok')
  const asset = sandbox.asset(id)
  await asset?.whenUploaded()
  const done = await call(sandbox, 'GET', `/v2/assets/${id}`)
  t.match(done.json, { status: 'uploaded', filesize: 2, upload_completed_at: /^\d{4}-.*Z$/ })
  t.equal((await call(sandbox, 'GET', `/v2/assets/${id}/download`)).text, 'ok')

  t.equal((await call(sandbox, 'DELETE', `/v2/assets/${id}`)).status, 200)
  t.equal((await call(sandbox, 'GET', `/v2/assets/${id}`)).status, 404)
  t.equal(sandbox.asset(id), undefined)
  t.equal((await readdir(String(sandbox.dir))).length, 1, 'the file is gone with it')
  t.equal((await put(String(urls[0]), 'ok')).status, 200, 'S3 does not know')
})

t.test('whoever waits for an asset that is deleted hears of it', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  await put(await urlFor(sandbox, asset.id), '1234')
  const waiting = t.rejects(asset.whenUploaded(), { message: /deleted/ })
  t.equal((await looseFiles(sandbox)).length, 1)
  await call(sandbox, 'DELETE', `/v2/assets/${asset.id}`)
  await waiting
  t.strictSame(await looseFiles(sandbox), [])
})

t.test('a creation that breaks a rule is refused with the rule', async t => {
  const sandbox = await boot(t)
  const path = `/v2/assets/${sandbox.parentId}/children`
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ ...CREATE, type: 'folder' }, /type must be "file"/],
    [{ ...CREATE, is_realtime_upload: undefined }, /is_realtime_upload must be true/],
    [{ ...CREATE, filesize: 5 }, /filesize must be left out/],
    [{ ...CREATE, filetype: undefined }, /filetype must be a media type/],
    [{ ...CREATE, filetype: 'video' }, /filetype must be a media type/],
    [{ ...CREATE, name: undefined }, /name or extension is required/],
    [{ ...CREATE, name: 'a' }, /name must be a string with an extension/],
    [{ ...CREATE, name: 7 }, /name must be a string with an extension/],
    [{ ...CREATE, extension: 'mp4' }, /extension must be a string such as/],
    [{ ...CREATE, extension: 4 }, /extension must be a string such as/],
    [{ ...CREATE, extension: '.mov' }, /must agree/],
    [{ ...CREATE, offset: 1 }, /offset is for devices only/],
    [{ ...CREATE, channel: 1 }, /channel is for devices only/],
  ]
  for (const [body, detail] of cases) {
    t.match(await call(sandbox, 'POST', path, body), { status: 400, detail })
  }
  const fine = {
    ...CREATE,
    extension: '.MP4',
    filesize: null,
    filetype: 'video/mp4; codecs="avc1"',
  }
  t.equal((await call(sandbox, 'POST', path, fine)).status, 200)

  t.throws(() => sandbox.createAsset({ filetype: 'video/mp4' }), {
    name: 'TypeError',
    message: /createAsset: name or extension is required/,
  })
})

t.test('the paths for devices demand a version', async t => {
  const sandbox = await boot(t)
  for (const version of [undefined, '1', '1.2.x']) {
    const headers = { 'x-client-version': version }
    const answer = await call(sandbox, 'POST', '/v2/devices/assets', DEVICE, headers)
    t.match(answer, { status: 400, detail: /x-client-version must be a semantic version/ })
  }
  const more = { ...DEVICE, offset: 1.5, channel: 0 }
  const created = await call(sandbox, 'POST', '/v2/devices/assets', more, VERSION)
  t.equal(created.status, 200)
  for (const [body, detail] of [
    [{ ...DEVICE, offset: -1 }, /offset must be a number/],
    [{ ...DEVICE, channel: 1.5 }, /channel must be an integer/],
  ] as const) {
    const answer = await call(sandbox, 'POST', '/v2/devices/assets', body, VERSION)
    t.match(answer, { status: 400, detail })
  }
  const path = `/v2/devices/assets/${created.json.id}/realtime_upload/parts`
  const body = { parts: [{ number: 1, size: 4, is_final: false }] }
  t.equal((await call(sandbox, 'POST', path, body)).status, 400)
  const beta = { 'x-client-version': '1.0.0-beta.1' }
  const { status, json } = await call(sandbox, 'POST', path, body, beta)
  t.equal(status, 200)
  t.equal(json.upload_urls.length, 1)
})

t.test(
  'a registration that breaks a rule is refused with the rule, and registers nothing',
  async t => {
    const sandbox = await boot(t)
    const asset = mp4(sandbox)
    const good = { number: 1, size: 4, is_final: false }
    const end = { number: 2, size: 1, is_final: true }
    const many = Array.from({ length: 10_001 }, () => good)
    const cases: [unknown, RegExp][] = [
      [{}, /parts must be a list of 1 to 10000/],
      [{ parts: [] }, /parts must be a list/],
      [{ parts: many }, /parts must be a list/],
      [{ parts: [good, 5] }, /a part must be an object/],
      [{ parts: [good, null] }, /a part must be an object/],
      [{ parts: [{ ...good, number: 0 }] }, /number must be an integer from 1 to 20/],
      [{ parts: [{ ...good, number: 21 }] }, /number must be/],
      [{ parts: [{ ...good, number: '1' }] }, /number must be/],
      [
        { parts: [{ ...good, size: 3 }] },
        /size must be an integer from 4 to 200000 unless is_final/,
      ],
      [{ parts: [{ ...good, size: 4.5 }] }, /size must be/],
      [{ parts: [{ ...good, size: 200_001 }] }, /size must be/],
      [{ parts: [{ ...end, size: 0 }], asset_filesize: 4 }, /size must be an integer from 1/],
      [{ parts: [{ number: 1, size: 4 }] }, /is_final must be true or false/],
      [{ parts: [good, good] }, /must not name a number twice/],
      [{ parts: [end, { ...end, number: 3 }], asset_filesize: 4 }, /only one part may be final/],
      [{ parts: [good, end] }, /asset_filesize must be .* required with the final part/],
      [{ parts: [good, end], asset_filesize: 0 }, /asset_filesize must be an integer from 1/],
      [{ parts: [good, end], asset_filesize: 1_000_001 }, /asset_filesize must be/],
      [{ parts: [good], asset_filesize: '4' }, /asset_filesize must be/],
      [{ parts: [good], asset_name: 'name' }, /asset_name must be a string with an extension/],
      [{ parts: [good], asset_name: 4 }, /asset_name must be/],
      [
        {
          parts: [
            { ...end, number: 1 },
            { ...good, number: 2 },
          ],
          asset_filesize: 5,
        },
        /must be the last/,
      ],
      [[good], /the body must be an object/],
      ['{"parts":', /the body must be JSON/],
      ['null', /the body must be an object/],
    ]
    for (const [body, detail] of cases) {
      t.match(await call(sandbox, 'POST', partsPath(asset.id), body), { status: 400, detail })
    }
    const type = { 'content-type': 'text/plain' }
    t.match(await call(sandbox, 'POST', partsPath(asset.id), { parts: [good] }, type), {
      status: 400,
      detail: /content-type must be application\/json/,
    })
    const none = { 'content-type': undefined }
    t.equal((await call(sandbox, 'POST', partsPath(asset.id), { parts: [good] }, none)).status, 400)
    t.strictSame(asset.parts, [])
  },
)

t.test('a part keeps its size, the file its final part and its length', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const first = await urlFor(sandbox, asset.id, 1, 4)
  const { status, urls } = await register(sandbox, asset.id, [
    [1, 4],
    [2, 4],
  ])
  t.equal(status, 200)
  t.equal(asset.parts[0]?.registrations, 2)
  t.equal((await put(first, '1234')).status, 200, 'the old URL holds')
  t.equal((await put(String(urls[0]), '1234')).status, 200, 'and so does the new one')
  t.match(await register(sandbox, asset.id, [[1, 5]]), { status: 400, detail: /size 4/ })
  const final = { asset_filesize: 9 }
  t.match(await register(sandbox, asset.id, [[2, 4, true]], final), {
    status: 400,
    detail: /is_final false; it cannot change/,
  })
  t.match(await register(sandbox, asset.id, [[1, 4, true]], final), {
    status: 400,
    detail: /the final part must be the last: 2 is after 1/,
  })
  t.equal((await register(sandbox, asset.id, [[5, 1, true]], final)).status, 200)
  t.match(await register(sandbox, asset.id, [[6, 1, true]], final), {
    status: 400,
    detail: /part 5 is final already/,
  })
  t.match(await register(sandbox, asset.id, [[5, 1, true]], { asset_filesize: 8 }), {
    status: 400,
    detail: /asset_filesize is 9/,
  })
  t.match(await register(sandbox, asset.id, [[6, 4]]), { status: 400, detail: /must be the last/ })
  const gap = await register(sandbox, asset.id, [[3, 4]], { asset_filesize: 9 })
  t.equal(gap.status, 200, 'one that is missing may still come')
  t.match(asset, { finals: 1, filesize: 9 })

  await put(String(urls[1]), '5678')
  const { urls: last } = await register(sandbox, asset.id, [[5, 1, true]], final)
  await put(String(last[0]), '9')
  await asset.whenUploaded()
  t.match(await register(sandbox, asset.id, [[4, 4]]), { status: 400, detail: /is complete/ })
})

t.test('only an asset that has its default name gets another', async t => {
  const sandbox = await boot(t)
  const unnamed = sandbox.createAsset({ extension: '.mp4', filetype: 'video/mp4' })
  t.equal(unnamed.name, '[new file].mp4')
  await register(sandbox, unnamed.id, [[1, 4]], { asset_name: 'b.mp4' })
  t.equal(unnamed.name, 'b.mp4')
  await register(sandbox, unnamed.id, [[2, 4]], { asset_name: 'c.mp4' })
  t.equal(unnamed.name, 'b.mp4')
  const named = mp4(sandbox)
  t.equal((await register(sandbox, named.id, [[1, 4]], { asset_name: 'b.mp4' })).status, 200)
  t.equal(named.name, 'a.mp4')
})

t.test('a body larger than 1 MiB is 413, and no more of it is wanted', async t => {
  const sandbox = await boot(t)
  const path = partsPath(mp4(sandbox).id)
  const { status, headers, detail } = await call(sandbox, 'POST', path, ' '.repeat(3 * 2 ** 20))
  t.equal(status, 413)
  t.equal(headers.connection, 'close')
  t.match(detail, /larger than 1048576/)
})

t.test('the bucket leaks: calls beyond it are 429 until there is room again', async t => {
  const sandbox = await boot(t, { rateLimit: { limit: 3, window: 600 } })
  const remaining: unknown[] = []
  let answer = await call(sandbox, 'GET', '/')
  for (let calls = 0; answer.status !== 429 && calls < 100; calls += 1) {
    remaining.push(answer.headers['x-ratelimit-remaining'])
    answer = await call(sandbox, 'GET', '/')
  }
  t.equal(remaining[0], '2')
  t.match(answer, {
    status: 429,
    detail: /Rate limit exceeded/,
    headers: {
      'x-ratelimit-limit': '3',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-window': '600',
    },
  })
  t.notOk('retry-after' in answer.headers, 'Frame.io does not mention it')
  sandbox.renewToken()
  t.equal(
    (await call(sandbox, 'GET', '/')).status,
    429,
    'the bucket is the user’s, not the token’s',
  )
  const stranger = await call(sandbox, 'GET', '/', undefined, { authorization: 'Bearer no' })
  t.equal(stranger.status, 401)
  while ((await call(sandbox, 'GET', '/')).status === 429) {
    await new Promise(resolve => setTimeout(resolve, 20))
  }
})

t.test('strangers take up no room in the bucket', async t => {
  const sandbox = await boot(t, { rateLimit: { limit: 1, window: 600_000 } })
  const stranger = { authorization: 'Bearer no' }
  for (const _ of [1, 2]) {
    t.equal((await call(sandbox, 'GET', '/', undefined, stranger)).status, 401)
  }
  t.equal((await call(sandbox, 'GET', '/')).status, 404)
  t.equal((await call(sandbox, 'GET', '/')).status, 429)
})

t.test('a caller who leaves in the middle of a call has called for nothing', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  sandbox.faults.add({ on: 'register', do: { status: 500 } })
  const line = await dial(sandbox.url)
  line.socket.write(
    `POST ${partsPath(asset.id)} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{`,
  )
  await until(() => sandbox.requests[0]?.bytes === 1)
  t.equal(sandbox.stats.registrationsInFlight, 1)
  line.socket.destroy()
  await until(() => sandbox.stats.registrationsInFlight === 0)
  await sandbox.close()
  t.strictSame(asset.parts, [])
  t.strictSame(sandbox.faults.fired, [], 'nor does a fault count it')
})
