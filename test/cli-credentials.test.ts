/**
 * `--device VERSION --credentials FILE`: takes of a device that was paired, and what is asked before them.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { callsOf, shell } from './support/account.ts'
import { commandLines, run, start } from './support/command.ts'
import { pairedFor } from './support/device.ts'
import { bytes, journalsIn, sandboxFor, sha256, until } from './support/sandboxes.ts'

t.setTimeout(300_000)
t.jobs = 4

const MiB = 2 ** 20
const SECRET = /sandbox-(?:device-)?(?:secret|token|refresh|code)-[\w-]{32}/

/** All that a folder holds, as text. */
const allIn = async (dir: string): Promise<string> => {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile())
  const texts = files.map(({ parentPath, name }) => readFile(join(parentPath, name), 'latin1'))
  return (await Promise.all(texts)).join('\n')
}

t.test('a take of a paired device: who films is said, and nobody sees a secret', async t => {
  const { sandbox, file, clientSecret, device, toTake } = await pairedFor(t)
  const spool = join(dirname(file), 'spool')
  const seen = join(dirname(file), 'seen')
  const env = { FRAMEIO_CLIENT_ID: 'not-seen', FRAMEIO_CLIENT_SECRET: clientSecret }
  const script = `env > ${seen}; echo x; while [ ! -e ${seen}.go ]; do sleep 0.05; done`
  const args = [...toTake, '--spool', spool, '--verbose', ...shell(script)]
  const { ended, hears } = start(args, { env })
  await hears(/^frameio-upload: device Cam A, project Sandbox project\n/)
  await until(() => existsSync(seen), 'the program')
  const shown = commandLines().join('\n')
  for (const secret of [clientSecret, device.accessToken, device.refreshToken]) {
    t.notOk(shown.includes(secret), 'ps does not show it')
  }
  t.notMatch(await allIn(spool), SECRET)
  await writeFile(`${seen}.go`, '')
  const { code, stdout, stderr } = await ended
  t.equal(code, 0)
  t.notMatch(stdout + stderr, SECRET)
  const environment = await readFile(seen, 'utf8')
  t.match(environment, /^PATH=/m)
  t.notMatch(environment, /FRAMEIO_CLIENT|sandbox-secret/)
  const asked = sandbox.requests.findIndex(({ operation }) => operation === 'device')
  const create = sandbox.requests.findIndex(({ operation }) => operation === 'create')
  t.ok(asked >= 0 && asked < create)
})

t.test('its tokens are renewed in mid-take, and stand in the file', async t => {
  const { sandbox, device, toTake, inFile } = await pairedFor(t)
  const data = bytes(7 * MiB)
  const { child, ended } = start(toTake, { input: data.subarray(0, 6 * MiB), open: true })
  await until(() => callsOf(sandbox, 'put') > 0, 'the first part')
  const before = device.accessToken
  device.expire()
  child.stdin?.end(data.subarray(6 * MiB))
  const { code, stdout } = await ended
  t.equal(code, 0)
  t.equal(device.refreshes, 1)
  t.not(device.accessToken, before)
  t.match(await inFile(), { accessToken: device.accessToken, refreshToken: device.refreshToken })
  const asset = sandbox.asset(stdout.split(' ')[0] ?? '')
  await asset?.whenUploaded()
  t.equal(asset?.sha256, sha256(data))
})

t.test('dead tokens end it before the program starts, and say what to do', async t => {
  for (const [args, body] of [
    [[], { error: 'invalid_grant' }],
    [['--json'], { error: 'invalid_request' }],
  ] as const) {
    const { sandbox, file, toTake } = await pairedFor(t)
    sandbox.faults.add({ on: 'device', times: 9, do: { status: 401 } })
    sandbox.faults.add({ on: 'token', times: 9, do: { status: 400, body } })
    const took = `${file}.took`
    const { code, stderr } = await run([...toTake, ...args, ...shell(`touch ${took}; echo x`)])
    t.match(stderr, /its tokens are dead: pair the device again/)
    t.match(stderr, `This pairs it: frameio-upload pair --credentials ${file}`)
    t.notMatch(stderr, SECRET)
    t.equal(code, 1)
    t.notOk(existsSync(took), 'the take never began')
    t.equal(callsOf(sandbox, 'create'), 0)
  }
})

t.test('a client that Frame.io does not know is named', async t => {
  const { sandbox, file, toTake } = await pairedFor(t)
  sandbox.faults.add({ on: 'device', do: { status: 401 } })
  sandbox.faults.add({ on: 'token', do: { status: 400, body: { error: 'invalid_client' } } })
  const { code, stderr } = await run(toTake)
  t.match(stderr, `check clientId in ${file} and clientSecret in ${file}\n`)
  t.equal(code, 1)
})

t.test('what a take is refused with says what to type next', async t => {
  for (const [on, status, says] of [
    [
      'device',
      401,
      /401 \(no\)\n {2}This pairs it again: frameio-upload pair --credentials \S+json\n$/,
    ],
    [
      'device',
      404,
      /then pair it again\n {2}This pairs it: frameio-upload pair --credentials \S+json\n$/,
    ],
    [
      'create',
      404,
      /then pair it again\n {2}This pairs it: frameio-upload pair --credentials \S+json\n$/,
    ],
    [
      'create',
      403,
      /lacks the right to do this\n {2}Look whether the device is in .* again: frameio/,
    ],
    ['register', 404, /404 \(no\)\n {2}Check the id: a C2C device must have made the asset\.\n/],
  ] as const) {
    const { sandbox, toTake } = await pairedFor(t)
    sandbox.faults.add({ on, times: Infinity, do: { status, body: { error: 'no' } } })
    const { code, stderr } = await run(toTake, { input: 'x' })
    t.match(stderr, says, `${on} ${status}`)
    t.notMatch(stderr, /pass a|function|`|check the id|parentId/)
    t.equal(code, 1)
  }
})

t.test('what is paused is said before the program starts', async t => {
  const { sandbox, file, toTake } = await pairedFor(t)
  const took = `${file}.took`
  sandbox.devices.pause()
  const { code, stderr } = await run([...toTake, '--quiet', ...shell(`touch ${took}; echo x`)])
  t.match(stderr, /^frameio-upload: device Cam A, project Sandbox project, is paused: what is rec/)
  t.match(stderr, /Channel Paused/)
  t.equal(code, 1)
  t.notOk(existsSync(took))
  sandbox.devices.resume()

  const channels = [
    { channel: 0, status: 'active' },
    { channel: 1, status: 'paused' },
  ]
  const body = { name: 'Cam A', status: 'online', project: { name: 'P' }, channels }
  sandbox.faults.add({ on: 'device', do: { status: 200, body } })
  const one = await run(toTake, { input: 'x' })
  t.match(one.stderr, /^frameio-upload: channel 1 of this device is paused: what is recorded is/m)
  t.equal(one.code, 0)
})

t.test('a device that cannot be asked may film', async t => {
  for (const answer of [{ status: 403 }, { status: 200, body: { id: 'without a name' } }]) {
    const { sandbox, toTake } = await pairedFor(t)
    sandbox.faults.add({ on: 'device', do: answer })
    const { code, stderr } = await run(toTake, { input: 'x' })
    t.match(stderr, /^frameio-upload: who this device is could not be learnt: Reading the device/)
    t.equal(code, 0)
  }
})

t.test('a silent Frame.io is said, and --no-check does not ask', async t => {
  const { sandbox, toTake } = await pairedFor(t)
  sandbox.faults.add({ on: 'device', do: { delay: 3_000 } })
  const { code, stderr } = await run([...toTake, ...shell('echo x')])
  t.match(stderr, /^frameio-upload: Frame\.io has not answered yet; nothing is recorded yet\n/)
  t.equal(code, 0)
  const before = callsOf(sandbox, 'device')
  const unasked = await run([...toTake, '--no-check'], { input: 'x' })
  t.match(unasked, { code: 0, stderr: '' })
  t.equal(callsOf(sandbox, 'device'), before)
})

t.test('a token without a pairing is a device as well', async t => {
  const sandbox = await sandboxFor(t)
  const { accessToken } = sandbox.devices.pair({ name: 'Cam B' })
  const args = ['--base-url', sandbox.url, '--device', '1.2.3', '--name', 'a.mp4']
  const outcome = await run(args, { input: 'x', env: { FRAMEIO_TOKEN: accessToken } })
  t.match(outcome, { code: 0, stderr: /^frameio-upload: device Cam B, project Sandbox project\n$/ })
})

t.test('--resume and a folder take the same file', async t => {
  const { sandbox, file, to, toTake } = await pairedFor(t)
  const spool = join(dirname(file), 'spool')
  const { child, ended } = start([...toTake, '--spool', spool], { input: 'abc', open: true })
  await until(() => /"mark"/.test(journalsIn(spool)), 'the journal to have it')
  child.kill('SIGKILL')
  await ended
  const resumed = await run([...to, '--device', '1.2.3', '--resume', spool])
  t.match(resumed, { code: 0, stdout: / 3 bytes / })

  const media = join(dirname(file), 'media')
  await mkdir(media)
  await writeFile(join(media, 'b.mov'), 'abcd')
  const args = [...to, '--device', '1.2.3', '--follow', `${media}/`, '--once', '--idle', '1s']
  const folder = await run([...args, '--spool', `${spool}2`])
  t.match(folder, { code: 0, stdout: / 4 bytes .*b\.mov/ })
  t.match(folder.stderr, /device Cam A, project Sandbox project/)
  t.equal(sandbox.devices.paired[0]?.reused, 0)

  await run(['unpair', ...to])
  const dead = await run([...args, '--spool', `${spool}3`])
  t.match(dead, {
    code: 1,
    stderr: /There are no tokens in .*: pair the device\n {2}This pairs it/,
  })
})

t.test('Ctrl-C before the take does not lose a pairing', async t => {
  for (const more of [[], ['--asset', 'a1', '--filetype', 'video/mp4']]) {
    const { sandbox, file, device, to, inFile } = await pairedFor(t)
    const kept = await inFile()
    await writeFile(file, JSON.stringify({ ...kept, expiresAt: new Date().toISOString() }))
    sandbox.faults.add({ on: 'token', do: { delay: 500 } })
    const args = more.length > 0 ? more : ['--name', 'a.mp4']
    const { child, ended } = start([...to, '--device', '1.2.3', ...args], { open: true })
    await until(() => sandbox.faults.fired.length > 0, 'the refresh')
    child.kill('SIGINT')
    t.equal((await ended).code, 130)
    t.equal(device.refreshes, 1)
    t.match(await inFile(), { refreshToken: device.refreshToken }, 'the new one is in the file')
  }
})

t.test('arguments that make no sense end with 2, and nothing is asked', async t => {
  const { sandbox, file, to, toTake } = await pairedFor(t)
  const target = ['--base-url', sandbox.url, '--device', '1.2.3', '--name', 'a.mp4']
  const kept = await readFile(file, 'utf8')
  const { clientId, clientSecret, ...tokens } = JSON.parse(kept)
  const kinds: [args: string[], says: RegExp | string, content?: string, env?: object][] = [
    [[...to, '--name', 'a.mp4', '--parent', 'p'], '--credentials is for a Camera to Cloud device'],
    [[...toTake, '--token-file', file], 'so --token-file must not be given as well'],
    [toTake, 'so FRAMEIO_TOKEN must not be given as well', kept, { FRAMEIO_TOKEN: 'token' }],
    [
      ['--sandbox', '--name', 'a', '--credentials', file],
      '--credentials has no meaning with --sand',
    ],
    [['--resume', '.', '--credentials', file], '--credentials is for a Camera to Cloud device'],
    [[...target, '--credentials', ''], '--credentials must not be empty'],
    [
      [...target, '--credentials', `${file}.none`],
      /no file .*none: frameio-upload pair .* makes it/,
    ],
    [target, /token: set FRAMEIO_TOKEN, or .*; a paired device has its own in --credentials FILE/],
    [toTake, '--credentials must be a file of JSON with an object in it', 'sandbox-secret'],
    [toTake, 'has no clientId: frameio-upload pair makes one', JSON.stringify({ clientSecret })],
    [toTake, 'There is no client secret', JSON.stringify({ clientId, ...tokens })],
  ]
  for (const [args, says, content = kept, env = {}] of kinds) {
    await writeFile(file, content)
    const outcome = await run([...args, ...(args[0] === '--resume' ? [] : shell('echo x'))], {
      env: { ...env },
    })
    t.match(outcome, { code: 2, stdout: '' }, String(says))
    t.match(outcome.stderr, says)
    t.notMatch(outcome.stderr, SECRET)
  }
  await rm(file)
  t.equal(sandbox.requests.length, 0)
})
