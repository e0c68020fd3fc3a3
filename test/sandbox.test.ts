import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { filesIn } from '../lib/sandbox/files.ts'
import { type SandboxOptions, startSandbox } from '../lib/sandbox/index.ts'
import {
  boot,
  call,
  dial,
  looseFiles,
  mp4,
  put,
  putHead,
  register,
  until,
  urlFor,
} from './sandbox-kit.ts'

t.test('parts become one file in number order, with gaps and out of order', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const body = randomBytes(150_000)
  const slices = [body.subarray(0, 70_000), body.subarray(70_000, 149_000), body.subarray(149_000)]
  const { urls } = await register(
    sandbox,
    asset.id,
    [
      [9, 1000, true],
      [2, 70_000],
      [5, 79_000],
    ],
    { asset_filesize: body.length },
  )
  const [last, first, middle] = urls.map(String)
  t.equal((await put(String(middle), slices[1] ?? '')).status, 200)
  t.equal((await put(String(last), slices[2] ?? '')).status, 200)
  t.match(asset, { status: 'created', storedBytes: 80_000, finals: 1, path: undefined })
  t.equal((await put(String(first), slices[0] ?? '')).status, 200)
  await asset.whenUploaded()

  t.match(asset, {
    status: 'uploaded',
    filesize: 150_000,
    storedBytes: 150_000,
    sha256: createHash('sha256').update(body).digest('hex'),
    path: join(String(sandbox.dir), asset.id, 'a.mp4'),
  })
  t.strictSame(asset.parts, [
    { number: 2, size: 70_000, final: false, stored: true, registrations: 1, puts: 1 },
    { number: 5, size: 79_000, final: false, stored: true, registrations: 1, puts: 1 },
    { number: 9, size: 1000, final: true, stored: true, registrations: 1, puts: 1 },
  ])
  t.ok((await readFile(String(asset.path))).equals(body))
  const download = await call(sandbox, 'GET', `/v2/assets/${asset.id}/download`)
  t.equal(download.status, 200)
  t.equal(download.headers['content-type'], 'video/mp4')
  const again = await readdir(String(sandbox.dir), { recursive: true })
  t.equal(again.length, 3, 'nothing is left but the file, its folder, and an empty one for parts')
})

t.test('part 1 may come last, and the log says so', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const [second = ''] = (await register(sandbox, asset.id, [[2, 4]])).urls
  t.equal((await put(second, 'tail')).status, 200)
  const last: [number, number, boolean?][] = [
    [1, 4],
    [3, 1, true],
  ]
  await register(sandbox, asset.id, last) // Refused, for it has no size.
  const { urls } = await register(sandbox, asset.id, last, { asset_filesize: 9 })
  await register(sandbox, asset.id, last, { asset_filesize: 9 })
  t.equal((await put(urls[1] ?? '', '!')).status, 200)
  t.equal(asset.status, 'created')
  t.equal((await put(urls[0] ?? '', 'head')).status, 200)
  await asset.whenUploaded()
  t.equal(await readFile(asset.path ?? '', 'utf8'), 'headtail!')
  const told = sandbox.requests.filter(({ operation }) => operation === 'register')
  t.strictSame(
    told.map(({ headLast }) => headLast),
    [false, false, true, false],
  )
})

t.test('an asset is not uploaded before the final part is registered', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id, 1, 5)
  await put(url, '12345')
  t.equal(asset.finals, 0)
  const { urls } = await register(sandbox, asset.id, [[2, 1, true]], { asset_filesize: 6 })
  t.equal(asset.status, 'created')
  await put(String(urls[0]), '6')
  await asset.whenUploaded()
  t.equal(await readFile(String(asset.path), 'utf8'), '123456')
})

t.test('sizes that do not add up never complete, until a part is replaced', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const { urls } = await register(
    sandbox,
    asset.id,
    [
      [1, 4],
      [2, 2, true],
    ],
    { asset_filesize: 6 },
  )
  await put(String(urls[0]), '123')
  await put(String(urls[1]), '56')
  t.match(asset, { storedBytes: 5, status: 'created' })
  await put(String(urls[0]), '1234')
  await asset.whenUploaded()
  t.match(asset, { storedBytes: 6, status: 'uploaded' })
  t.equal(asset.parts[0]?.puts, 2)

  t.equal((await put(String(urls[0]), 'late')).status, 200, 'S3 takes a late PUT all the same')
  await until(async () => (await looseFiles(sandbox)).length === 0)
  t.equal(await readFile(String(asset.path), 'utf8'), '123456')
  const { status } = await register(sandbox, asset.id, [[2, 2, true]], { asset_filesize: 6 })
  t.equal(status, 200, 'a lost answer can be asked for again')
  t.match(await register(sandbox, asset.id, [[1, 5]]), { status: 400, detail: /cannot change/ })
})

t.test('many PUTs at once are stored each for itself', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const bodies = Array.from({ length: 20 }, () => randomBytes(190_000))
  const whole = Buffer.concat(bodies).subarray(0, 1_000_000)
  const parts = Array.from({ length: 6 }, (_, index) => {
    const size = Math.min(190_000, whole.length - index * 190_000)
    return [index + 1, size, index === 5] as const
  })
  const { urls } = await register(sandbox, asset.id, parts, { asset_filesize: whole.length })
  const cuts = urls.map((url, index) => [
    url,
    whole.subarray(index * 190_000, (index + 1) * 190_000),
  ])
  await Promise.all([...cuts, ...cuts].map(([url, body]) => put(String(url), body ?? '')))
  await asset.whenUploaded()
  t.equal(asset.sha256, createHash('sha256').update(whole).digest('hex'))
  t.equal(sandbox.stats.puts, 12)
  t.ok(sandbox.stats.maxPutsInFlight > 1)
})

t.test(
  'with the real limits, a part larger than any buffer is written as the disk takes it',
  async t => {
    const sandbox = await startSandbox()
    t.teardown(() => sandbox.close())
    const asset = mp4(sandbox)
    const body = randomBytes(48 * 2 ** 20)
    const size = body.length
    t.match(await register(sandbox, asset.id, [[1, 5 * 2 ** 20 - 1]]), {
      status: 400,
      detail: /5242880 to 5368709120/,
    })
    const { urls } = await register(sandbox, asset.id, [[1, size, true]], { asset_filesize: size })
    await put(String(urls[0]), body)
    await asset.whenUploaded()
    t.equal(asset.sha256, createHash('sha256').update(body).digest('hex'))
  },
)

t.test('discard counts and keeps nothing', async t => {
  const sandbox = await boot(t, { storage: 'discard' })
  const asset = mp4(sandbox)
  const { urls } = await register(sandbox, asset.id, [[1, 5, true]], { asset_filesize: 5 })
  const { status, headers } = await put(String(urls[0]), '12345')
  t.equal(status, 200)
  t.match(headers.etag, /^".+"$/)
  await asset.whenUploaded()
  t.match(asset, { status: 'uploaded', storedBytes: 5, path: undefined, sha256: undefined })
  t.equal(sandbox.dir, undefined)
  const answer = await call(sandbox, 'GET', `/v2/assets/${asset.id}/download`)
  t.match(answer, { status: 409, detail: /discard/ })
  await urlFor(sandbox, mp4(sandbox).id)
  t.equal((await call(sandbox, 'DELETE', `/v2/assets/${asset.id}`)).status, 200)
})

t.test('a temporary folder goes with the sandbox, a given one stays', async t => {
  const temporary = await startSandbox()
  t.ok(existsSync(String(temporary.dir)))
  await temporary.close()
  t.notOk(existsSync(String(temporary.dir)))

  const dir = join(t.testdir(), 'made', 'here')
  const sandbox = await boot(t, { dir })
  t.equal(sandbox.dir, dir)
  const asset = mp4(sandbox)
  const { urls } = await register(sandbox, asset.id, [[1, 2, true]], { asset_filesize: 2 })
  await put(String(urls[0]), 'ok')
  await asset.whenUploaded()
  await sandbox.close()
  t.strictSame(await readdir(dir), [asset.id], 'the folder for parts goes when none is left')
  t.equal(await readFile(join(dir, asset.id, 'a.mp4'), 'utf8'), 'ok')
})

t.test('a folder that cannot be had is refused, and those on the way to it go', async t => {
  const dir = t.testdir({ file: '' })
  for (const wanted of [join(dir, 'file'), join(dir, 'file', 'x'), join(dir, 'a', 'b', 'c\0')]) {
    await t.rejects(startSandbox({ dir: wanted }))
    t.strictSame(await readdir(dir), ['file'])
  }
  // Node's own recursive mkdir never ends there.
  if (process.platform === 'linux') await t.rejects(startSandbox({ dir: '/proc/x' }), /ENOENT/)
})

t.test('a name cannot lead out of the folder', async t => {
  const sandbox = await boot(t)
  const asset = sandbox.createAsset({ name: '../../e\u0000vil.mp4', filetype: 'video/mp4' })
  const { urls } = await register(sandbox, asset.id, [[1, 2, true]], { asset_filesize: 2 })
  await put(String(urls[0]), 'ok')
  await asset.whenUploaded()
  t.equal(asset.path, join(String(sandbox.dir), asset.id, '__.._e_vil.mp4'))
})

t.test('a disk that fails is an error of the server, and not the end of it', async t => {
  const dir = t.testdir()
  const sandbox = await boot(t, { dir })
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id)
  const [parts] = await readdir(dir)
  await rm(join(dir, String(parts)), { recursive: true })
  t.match(await put(url, '1234'), { status: 500, code: 'InternalError', message: /ENOENT/ })
  t.match(await put(url, randomBytes(200_000)), { status: 500, code: 'InternalError' })

  await mkdir(join(dir, String(parts)))
  const { urls } = await register(sandbox, asset.id, [[2, 2, true]], { asset_filesize: 6 })
  await put(url, '1234')
  await writeFile(join(dir, asset.id), 'in the way')
  await put(String(urls[0]), '56')
  await t.rejects(asset.whenUploaded(), { code: 'EEXIST' })
  t.equal(asset.status, 'created')
})

t.test('a download that breaks off is cut, so that nobody takes it for whole', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const { urls } = await register(sandbox, asset.id, [[1, 2, true]], { asset_filesize: 2 })
  await put(String(urls[0]), 'ok')
  await asset.whenUploaded()
  await rm(String(asset.path))
  await t.rejects(call(sandbox, 'GET', `/v2/assets/${asset.id}/download`))
})

t.test('the log tells what each request was and how it ended', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const { urls } = await register(sandbox, asset.id, [
    [1, 4],
    [2, 4],
  ])
  await put(String(urls[1]), '1234')
  await call(sandbox, 'GET', '/nowhere?secret')
  const line = await dial(String(urls[0]))
  line.socket.write(`${putHead(String(urls[0]), 4)}12`)
  await until(() => sandbox.requests[3]?.bytes === 2)
  t.match(sandbox.stats, { putsInFlight: 1, bytesReceived: 6 })
  line.socket.destroy()
  await until(() => sandbox.stats.putsInFlight === 0)

  t.match(sandbox.requests, [
    { side: 'api', operation: 'register', method: 'POST', assetId: asset.id, partNumbers: [1, 2] },
    { side: 'storage', operation: 'put', method: 'PUT', path: `/parts/${asset.id}/2`, bytes: 4 },
    { side: 'api', operation: 'other', path: '/nowhere', assetId: undefined, partNumbers: [] },
    { side: 'storage', operation: 'put', partNumbers: [1], bytes: 2 },
  ])
  t.strictSame(
    sandbox.requests.map(({ status }) => status),
    [200, 200, 404, undefined],
  )
  for (const { startedAt, endedAt } of sandbox.requests) t.ok(Number(endedAt) >= startedAt)
  t.match(sandbox.stats, { registrations: 1, registrationsInFlight: 0, puts: 2 })
  t.match(
    asset.parts.map(({ stored, puts }) => ({ stored, puts })),
    [
      { stored: false, puts: 1 },
      { stored: true, puts: 1 },
    ],
    'a cut connection leaves no part',
  )
  await until(async () => (await looseFiles(sandbox)).length === 1)
  await sandbox.close()
  t.equal(sandbox.stats.openSockets, 0)
})

t.test('a body that is cut while it is written leaves no file', async t => {
  const dir = t.testdir()
  const { sink, drop } = filesIn(dir, false).draft()
  sink?.write(Buffer.alloc(64 * 2 ** 20))
  if (sink) await once(sink, 'open')
  await drop()
  t.strictSame(await readdir(dir), [])
})

t.test('close ends what is under way, once', async t => {
  const sandbox = await boot(t, {
    faults: [{ on: 'put', times: Number.POSITIVE_INFINITY, do: { hang: 'headers' } }],
  })
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id)
  const lost = [put(url, '1234'), put(url, randomBytes(200_000))].map(cut => t.rejects(cut))
  await until(() => sandbox.stats.putsInFlight === 2)
  const waiting = t.rejects(asset.whenUploaded(), { message: /closed/ })
  t.equal(sandbox.close(), sandbox.close())
  await Promise.all([sandbox.close(), ...lost, waiting])
  t.match(sandbox.stats, { openSockets: 0, putsInFlight: 0 })
  await t.rejects(call(sandbox, 'GET', '/'), { code: 'ECONNREFUSED' })
})

t.test('latency delays the answer, not the work', async t => {
  const sandbox = await boot(t, { latency: { api: 1, storage: 300 } })
  const asset = mp4(sandbox)
  const putting = put(await urlFor(sandbox, asset.id), '1234')
  await until(() => asset.parts[0]?.stored === true)
  t.equal(sandbox.stats.putsInFlight, 1)
  t.equal((await putting).status, 200)

  const both = await boot(t, { latency: 300 })
  const created = { type: 'file', name: 'a.mp4', filetype: 'video/mp4', is_realtime_upload: true }
  const calling = call(both, 'POST', `/v2/assets/${both.parentId}/children`, created)
  await until(() => Number(both.requests[0]?.bytes) > 0)
  t.equal(both.requests[0]?.status, undefined)
  t.equal((await calling).status, 200)
})

t.test('an option that breaks its rule is refused by name', async t => {
  const bad = (options: unknown, message: RegExp) =>
    t.rejects(startSandbox(options as SandboxOptions), { name: 'TypeError', message })
  await bad([], /options must be an object; received \[\]/)
  await bad({ directory: '/' }, /options has no field 'directory'; it has dir, storage/)
  await bad({ dir: '' }, /options.dir must be a string that is not empty; received ''/)
  await bad({ storage: 's3' }, /options.storage must be 'disk' or 'discard'; received 's3'/)
  await bad(
    { storage: 'discard', dir: '/x' },
    /options.dir must be left out with storage 'discard'/,
  )
  await bad({ urlLifetime: 0.5 }, /options.urlLifetime must be an integer from 1 to 604,800/)
  await bad({ urlLifetime: 604_801 }, /options.urlLifetime/)
  await bad({ bodyTimeout: 2 ** 31 }, /options.bodyTimeout must be a number of ms/)
  await bad({ latency: -1 }, /options.latency must be a number of ms/)
  await bad({ latency: 'slow' }, /options.latency must be a number of ms, or \{ api, storage \}/)
  await bad({ latency: { api: -1 } }, /options.latency.api/)
  await bad({ latency: { storage: '1' } }, /options.latency.storage/)
  await bad({ latency: { put: 1 } }, /options.latency has no field 'put'/)
  await bad({ rateLimit: 5 }, /options.rateLimit must be an object/)
  await bad({ rateLimit: { limit: 0, window: 1 } }, /options.rateLimit.limit must be an integer of/)
  await bad(
    { rateLimit: { limit: 1 } },
    /options.rateLimit.window must be .* over 0; received null/,
  )
  await bad({ rateLimit: { window: 1 } }, /options.rateLimit.limit/)
  await bad({ rateLimit: { limit: 1, window: 1, burst: 1 } }, /has no field 'burst'/)
  await bad({ faults: {} }, /options.faults must be a list/)
  await bad({ faults: [{}] }, /fault.on must be .*; received null/)
})
