/**
 * Whatever goes wrong for a Camera to Cloud device: no token of any kind, no client secret and no query of
 * a presigned URL is in an error, an output, a file but the one for it, or what other processes can see.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PRESENCE_DOOR } from '../../lib/frameio/presence.ts'
import {
  type DiagnosticMessages,
  deviceTokens,
  FrameioClient,
  pairDevice,
  RealtimeUpload,
  resumeUploads,
  saveDeviceTokens,
  uploadFrom,
} from '../../lib/index.ts'
import type { Fault, Sandbox, SandboxDevice } from '../../lib/sandbox/index.ts'
import { commandLines, start } from '../support/command.ts'
import { assetsIn, follow, oldFile } from '../support/followed-folder.ts'
import {
  bytes,
  endOf,
  folderFor,
  optionsFor,
  QUICK,
  record,
  SMALL,
  sandboxFor,
  shown,
  until,
} from '../support/sandboxes.ts'

t.setTimeout(180_000)

/** All that the sandbox hands out, and what signs its URLs. */
const SECRETS =
  /sandbox-(?:device-)?(?:token|refresh|secret|code)-[\w-]{32}|X-Amz-(?:Signature|Credential|Security-Token)(?:=|%3D)(?!\[redacted\])[^\s&"'<>]+/gi

const secretsIn = (text: string): string[] => text.match(SECRETS) ?? []

/** What is in all files below a folder. */
const filesIn = async (dir: string, but?: string): Promise<string> => {
  const found = await readdir(dir, { recursive: true, withFileTypes: true })
  const paths = found.filter(it => it.isFile()).map(it => join(it.parentPath, it.name))
  const texts = paths.filter(path => path !== but).map(path => readFile(path, 'latin1'))
  return [...paths, ...(await Promise.all(texts))].join('\n')
}

const SIGNED = 'https://bucket.test/parts/1?X-Amz-Signature=5ec2e7&X-Amz-Credential=AKIA5EC2E7'
const xml = (code: string, message: string) =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`

/** Refusals that say back what they were sent. */
const quoting = (on: Fault['on'], status: number, ...secrets: string[]): Fault => ({
  on,
  do: { status, body: { error: `refused: ${secrets.join(' ')} ${SIGNED}` } },
})

t.test('what is searched for would be found', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { accessToken, refreshToken } = sandbox.devices.pair()
  const client = new FrameioClient({ token: accessToken, baseUrl: sandbox.url, device: {} })
  t.teardown(() => client.close())
  const { id } = await client.createRealtimeAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const [url = ''] = await client.registerParts(id, [{ number: 1, size: 1_000, final: false }])
  const { clientSecret } = sandbox.credentials
  for (const secret of [accessToken, refreshToken, clientSecret, url, SIGNED])
    t.ok(secretsIn(`before ${secret} behind`).length > 0)
})

/** A device that is paired, with its tokens in a file, and all that was told on the way. */
const pairedIn = async (t: Test) => {
  const root = await folderFor(t)
  const options = { pairing: { interval: 0.001 }, presence: { heartbeatEvery: 0.000_001 } }
  const sandbox = await sandboxFor(t, options, SMALL)
  const { clientSecret } = sandbox.credentials
  const baseUrl = sandbox.url
  const told: string[] = []
  const clientId = 'a-camera'
  const onCode = ({ userCode }: { userCode: string }) => void sandbox.devices.enter(userCode)
  const pairing = { clientId, clientSecret, baseUrl, retry: QUICK, onCode }
  sandbox.faults.add(quoting('code', 401, clientSecret))
  await pairDevice(pairing).catch(error => told.push(shown(error)))
  sandbox.faults.add(quoting('poll', 400, clientSecret))
  await pairDevice(pairing).catch(error => told.push(shown(error)))
  t.equal(told.length, 2)
  const { tokens } = await pairDevice(pairing)
  const file = join(root, 'tokens.json')
  await saveDeviceTokens({ file, tokens })
  const device = sandbox.devices.paired.at(-1) as SandboxDevice
  const token = deviceTokens({ file, clientId, clientSecret, baseUrl })
  return { root, sandbox, device, file, token, told, clientSecret }
}

const CHANNELS = ['register', 'put', 'retry', 'stall', 'spooled', 'resumed', 'done', 'pair'].map(
  name => `frameio-realtime-upload:${name}` as keyof DiagnosticMessages,
)

/** Keeps what is told on every channel. */
const listen = (t: Test, told: string[]): void => {
  const hear = (message: unknown) => told.push(shown(message))
  for (const name of CHANNELS) subscribe(name, hear)
  t.teardown(() => {
    for (const name of CHANNELS) unsubscribe(name, hear)
  })
}

const FILETYPE = 'video/mp4'

t.test('the library', async t => {
  const { root, sandbox, device, file, token, told, clientSecret } = await pairedIn(t)
  listen(t, told)
  const spool = { dir: join(root, 'spool'), keepFree: 0, syncEvery: 10 }
  const often = { [PRESENCE_DOOR]: { silence: 30, atMostEvery: 10 } }
  const options = { token, baseUrl: sandbox.url, device: {}, retry: QUICK, ...often }
  const client = new FrameioClient(options)
  t.teardown(() => client.close())
  const { faults } = sandbox
  const create = async () => {
    const { id } = await client.createRealtimeAsset({ name: 'a.mp4', filetype: FILETYPE })
    return sandbox.asset(id) as NonNullable<ReturnType<Sandbox['asset']>>
  }
  const film = async (more: object = {}) => {
    const target = { sandbox, asset: await create() }
    const upload = new RealtimeUpload(optionsFor(target, { client, ...more }, SMALL))
    const seen = record(upload)
    upload.write(bytes(3_500))
    upload.end(bytes(100))
    const error = await endOf(upload)
    told.push(...[error, ...seen.retry, ...seen.warning, upload, client].map(shown))
    return error
  }
  t.equal(await film(), undefined)
  const fails = async (code: string, more?: object) => t.match(await film(more), { code })

  faults.add({ ...quoting('register', 400, device.accessToken), times: 9 })
  await fails('ERR_REQUEST_REJECTED', { spool })
  faults.clear()
  const signed = { status: 400, body: xml('EntityTooLarge', SIGNED) }
  faults.add({ on: 'put', times: 9, do: signed })
  await fails('ERR_STORAGE_REJECTED', { spool })
  faults.clear()
  faults.add({ on: 'put', times: 99, do: { reset: 'during' } })
  await fails('ERR_NETWORK', { spool: { ...spool, durable: false } })
  faults.clear()
  faults.add(quoting('create', 409, device.accessToken))
  await t.rejects(create(), { code: 'ERR_REQUEST_REJECTED' })
  told.push(shown(await create().catch(error => error)))
  faults.add({ ...quoting('heartbeat', 401, device.accessToken), times: 3 })
  const target = { sandbox, asset: await create() }
  const silent = new RealtimeUpload(optionsFor(target, { client }, SMALL))
  await until(() => faults.fired.filter(({ fault }) => fault.on === 'heartbeat').length === 3)
  silent.destroy()
  await endOf(silent)

  told.push(await filesIn(spool.dir), JSON.stringify(await readdir(spool.dir)))
  for await (const one of resumeUploads({ dir: spool.dir, client })) told.push(shown(one))

  const dir = join(root, 'in')
  await mkdir(dir)
  for (let n = 0; n < 3; n++) await oldFile(join(dir, `${n}.mov`), bytes(3_500))
  const place = { t, sandbox, root, dir, spool: join(root, 'folder') }
  faults.add({ ...quoting('register', 400, device.accessToken), times: 1 })
  const followed = follow(place, { connection: options })
  told.push(shown(await followed.ended), ...followed.events.map(shown))
  told.push(await filesIn(place.spool))

  // What a program sees of this process.
  process.env.FRAMEIO_TOKEN = device.accessToken
  t.teardown(() => {
    delete process.env.FRAMEIO_TOKEN
  })
  const seen = await create()
  const upload = new RealtimeUpload(optionsFor({ sandbox, asset: seen }, { client }, SMALL))
  const script = 'env; tr "\\0" " " < /proc/$PPID/cmdline; echo over'
  await uploadFrom({ command: 'sh', args: ['-c', script] }, upload)
  await seen.whenUploaded()
  const said = await readFile(seen.path ?? '', 'utf8')
  t.match(said, /PATH=(?:.|\n)*over/)
  told.push(said)

  // At the end, since no call can be made any more.
  faults.add({ ...quoting('token', 400, device.refreshToken, clientSecret), times: 9 })
  device.expire()
  await t.rejects(create(), { code: 'ERR_NOT_PAIRED' })
  told.push(shown(await create().catch(error => error)))

  t.ok(device.refreshes > 0, 'tokens have changed on the way')
  t.ok(secretsIn(await readFile(file, 'utf8')).length === 2, 'the file for them has them')
  t.strictSame(secretsIn(told.join('\n')), [])
  t.strictSame(secretsIn(await filesIn(root, file)), [])
})

t.test('the command', async t => {
  const root = await folderFor(t)
  const sandbox = await sandboxFor(t)
  const device = sandbox.devices.pair()
  const [spool, dir, log] = ['spool', 'in', 'log'].map(name => join(root, name)) as [
    string,
    string,
    string,
  ]
  // Those that are meant to hold secrets.
  const own = join(await folderFor(t), 'own')
  await mkdir(own)
  const [tokenFile, credentials] = [join(own, 'token'), join(own, 'device.json')]
  await writeFile(tokenFile, device.accessToken)
  const { clientId, accessToken, refreshToken } = device
  const { clientSecret } = sandbox.credentials
  await writeFile(credentials, JSON.stringify({ clientId }))
  const tokens = { accessToken, refreshToken, lifetime: 28_800_000 }
  await saveDeviceTokens({ file: credentials, tokens })
  const base = ['--base-url', sandbox.url, '--device', '1.0.0']
  const told: string[] = []
  /** Runs it, and looks at what everybody can see of it meanwhile. */
  const run = async (args: readonly string[], env: Record<string, string> = {}) => {
    const { child, ended } = start([...base, '--verbose', ...args], { env })
    let isOver = false
    const over = ended.finally(() => {
      isOver = true
    })
    const mine = new Set<string>()
    while (!isOver) {
      for (const line of commandLines()) if (line.includes(root)) mine.add(line)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    t.ok(mine.size > 0, 'it was seen')
    const { code, stdout, stderr } = await over
    told.push(...mine, stdout, stderr, String(child.spawnargs))
    return code
  }
  const inEnv = { FRAMEIO_TOKEN: device.accessToken }
  const inFile = ['--token-file', tokenFile]
  // It says on both what it sees; and a second process sees the first.
  const script = 'env; env >&2; tr "\\0" " " < /proc/$PPID/cmdline; sleep 0.3'
  const film = ['--name', 'a.mp4', '--producer-log', log, '--', 'sh', '-c', script]
  t.equal(await run(film, inEnv), 0)
  t.equal(await run([...inFile, '--json', '--spool', spool, ...film]), 0)

  const { faults } = sandbox
  const refused = quoting('register', 400, device.accessToken)
  faults.add({ ...refused, times: 9 })
  t.equal(await run([...inFile, '--spool', spool, ...film]), 1)
  t.equal(await run(['--json', '--spool', spool, ...film], inEnv), 1)
  t.equal(await run([...inFile, '--resume', spool]), 1)
  faults.clear()
  const signed = { status: 400, body: xml('EntityTooLarge', SIGNED) }
  faults.add({ on: 'put', times: 2, do: signed })
  t.equal(await run([...inFile, ...film]), 1)
  faults.clear()
  faults.add({ ...quoting('create', 401, device.accessToken), times: 2 })
  t.equal(await run(film, inEnv), 1)
  faults.clear()

  await mkdir(dir)
  for (let n = 0; n < 3; n++) await oldFile(join(dir, `${n}.mov`), bytes(100))
  faults.add(refused)
  const followed = ['--follow', dir, '--spool', join(root, 'folder'), '--once']
  t.equal(await run([...inFile, ...followed]), 1)
  t.equal(await run([...followed, '--json'], inEnv), 0)
  t.equal(await run([...inFile, '--resume', spool]), 0)

  // Its tokens are refreshed on the way: those of before are dead from then on.
  device.expire()
  const paired = ['--credentials', credentials]
  const secret = { FRAMEIO_CLIENT_SECRET: clientSecret }
  t.equal(await run([...paired, ...film], secret), 0)
  t.equal(device.refreshes, 1)
  faults.add({ ...quoting('token', 400, device.refreshToken, clientSecret), times: 9 })
  device.expire()
  t.equal(await run([...paired, '--json', ...film], secret), 1)
  t.equal(await run([...paired, ...followed, '--no-check'], secret), 0, 'all was uploaded')

  const films = assetsIn(sandbox).filter(({ path }) => path !== undefined)
  t.ok(films.length > 2)
  for (const { path = '' } of films) told.push(await readFile(path, 'latin1'))
  t.match(told.join('\n'), /PATH=/, 'what the program saw was seen')
  t.strictSame(secretsIn(told.join('\n')), [])
  t.strictSame(secretsIn(await filesIn(root)), [])
})
