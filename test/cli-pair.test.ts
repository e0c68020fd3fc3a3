/**
 * `pair`, `devices` and `unpair`: a device is let in, asked, and let go.
 */
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { renderUnicodeCompact } from 'uqr'
import { lock } from '../lib/lock.ts'
import type { Fault, Sandbox } from '../lib/sandbox/index.ts'
import { commandLines, type Outcome, run, start } from './support/command.ts'
import { deviceFor, pairedFor } from './support/device.ts'
import { until } from './support/sandboxes.ts'
import { screenOf } from './support/screen.ts'
import { KEYS, lineOf, noTerminal, openTerminal } from './support/terminal.ts'

t.setTimeout(300_000)
t.jobs = 4

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
const SECRET = /sandbox-(?:device-)?(?:secret|token|refresh|code)-[\w-]{32}/

const callsOf = ({ requests }: Sandbox) => requests.map(({ operation }) => operation)

/** Types in every code that waits. */
const person = (t: { teardown(fn: () => void): void }, { devices }: Sandbox, name = 'Cam A') => {
  const timer = setInterval(() => {
    for (const code of devices.waiting) devices.enter(code, { name })
  }, 10)
  t.teardown(() => clearInterval(timer))
}

t.test('paired, asked, and let go again', async t => {
  const { sandbox, file, clientSecret, env, to, inFile } = await deviceFor(t)
  const { child, ended, hears, said } = start(['pair', ...to], { env })
  await hears(/ enter the code \d{6} in the project's C2C Connections: it is good for 2:00\n/)
  t.notOk(commandLines().join('\n').includes(clientSecret), 'ps does not show the secret')
  const [, code = ''] = /code (\d{6})/.exec(said.stderr) ?? []
  t.match(said.stderr, ` open https://sandbox.invalid/pair?user_code=${code}, or enter`)
  sandbox.devices.enter(code, { name: 'Cam A' })
  const paired = await ended
  const who = /^device Cam A, project Sandbox project {2}online {2}authorised until 20\S+ \S+ UTC /
  t.match(paired, { code: 0, stdout: who, stderr: /^frameio-upload: paired; .* kept in \S+json$/m })
  t.equal(child.exitCode, 0)
  const { clientId, accessToken, refreshToken, ...rest } = await inFile()
  const [device] = sandbox.devices.paired
  t.match(clientId, UUID)
  t.match(device, { clientId, accessToken, refreshToken })
  t.strictSame(Object.keys(rest), ['lifetime', 'expiresAt'], 'and the secret is nowhere')
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.strictSame(await readdir(dirname(file)), ['device.json', 'device.json.lock'])

  const asked = await run(['devices', ...to], { env })
  t.match(asked, { code: 0, stdout: who, stderr: '' })
  sandbox.devices.pause()
  const json = await run(['devices', ...to, '--json'], { env })
  t.match(JSON.parse(json.stdout), {
    name: 'Cam A',
    project: { name: 'Sandbox project' },
    status: 'paused',
    authorizedUntil: /^20.*Z$/,
  })

  const unpaired = await run(['unpair', ...to], { env })
  t.match(unpaired, { code: 0, stdout: /^unpaired: the tokens are revoked/, stderr: '' })
  t.strictSame(await inFile(), { clientId }, 'the id is that of the next pairing')
  const again = await run(['unpair', ...to, '--json'], { env })
  t.match(again, { code: 0, stdout: '{"wasPaired":false}\n', stderr: '' })
  const dead = await run(['devices', ...to], { env })
  t.match(dead, { code: 1, stdout: '' })
  t.match(dead.stderr, `There are no tokens in ${file}: pair the device\n  This pairs it: frameio`)
  for (const outcome of [paired, asked, json, unpaired, again, dead]) tellsNoSecret(t, outcome)
  t.strictSame(callsOf(sandbox).slice(-4), ['device', 'device', 'device', 'revoke'])
})

const tellsNoSecret = (t: Pick<Tap, 'notMatch'>, { stdout, stderr }: Outcome) =>
  t.notMatch(stdout + stderr, SECRET)
type Tap = typeof t

t.test('the next code comes by itself, and the version with every call', async t => {
  const { sandbox, env, to } = await deviceFor(t)
  const args = ['pair', ...to, '--device', '3.2.1', '--json']
  const { ended, hears, said } = start(args, { env })
  await hears(/"event":"code"/)
  sandbox.devices.expire()
  await hears(/"event":"expired".*\n.*"event":"code"/)
  person(t, sandbox)
  const { code, stdout } = await ended
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { name: 'Cam A', status: 'online' })
  const events = said.stderr
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.match(events, [
    {
      event: 'code',
      message: /^open https:/,
      userCode: /^\d{6}$/,
      verificationUri: /^https:/,
      expiresIn: Number,
    },
    { event: 'expired' },
    { event: 'code', verificationUriComplete: /\?user_code=\d{6}$/ },
    { event: 'paired' },
  ])
  t.ok(Number.isInteger(events[0].expiresIn) && events[0].expiresIn <= 120_000)
  for (const { headers } of sandbox.requests) t.equal(headers['x-client-version'], '3.2.1')
})

t.test('what stands in the file goes before the environment, and stays', async t => {
  const { sandbox, file, to, clientSecret, inFile } = await deviceFor(t)
  const mine = { clientId: 'my-camera', clientSecret, note: [1] }
  await writeFile(file, JSON.stringify(mine), { mode: 0o644 })
  const env = { FRAMEIO_CLIENT_ID: 'another', FRAMEIO_CLIENT_SECRET: 'wrong-secret' }
  person(t, sandbox)
  t.equal((await run(['pair', ...to], { env })).code, 0)
  t.match(await inFile(), mine)
  t.equal(sandbox.devices.paired[0]?.clientId, 'my-camera')
  t.equal((await stat(file)).mode & 0o777, 0o600, 'for its owner alone from now on')

  await writeFile(file, '{}')
  const both = { FRAMEIO_CLIENT_ID: 'from-there', FRAMEIO_CLIENT_SECRET: clientSecret }
  t.equal((await run(['pair', ...to], { env: both })).code, 0)
  t.equal(sandbox.devices.paired[1]?.clientId, 'from-there')
  t.notOk('clientId' in (await inFile()), 'what is in the environment is not written down')
  t.equal((await run(['devices', ...to], { env: both })).code, 0)
  const without = await run(['devices', ...to], { env: { FRAMEIO_CLIENT_SECRET: clientSecret } })
  t.match(without, { code: 2, stderr: /json has no clientId: frameio-upload pair makes one/ })
})

const word = (error: string, status = 400): Fault['do'] => ({ status, body: { error } })

t.test('each refusal ends it with a word on what to do, and no token is kept', async t => {
  for (const [on, answer, says] of [
    ['code', word('invalid_client'), /; check clientId in .*json and FRAMEIO_CLIENT_SECRET, which/],
    ['code', word('invalid_request'), /; clientId in .*json must be unique to the device/],
    ['code', { status: 200, body: { user_code: 'x' } }, /a device_code and a user_code must be/],
    ['poll', word('invalid_client'), /Pairing failed.*check clientId in .*json and FRAMEIO_CLIENT/],
    ['poll', word('invalid_request'), /Pairing failed: Frame.io answered 400 \(invalid_request\)$/],
    ['poll', word('access_denied'), /the person declined\n {2}Run it again for another code\.$/],
    [
      'device',
      word('no', 401),
      /Reading the device failed: .*401 \(no\)\n {2}This pairs it again: /,
    ],
  ] as [Fault['on'], Fault['do'], RegExp][]) {
    const { sandbox, env, to, inFile } = await deviceFor(t)
    sandbox.faults.add({ on, times: Infinity, do: answer })
    person(t, sandbox)
    const outcome = await run(['pair', ...to, '--json'], { env })
    t.match(outcome, { code: 1 })
    const last = JSON.parse(outcome.stderr.trimEnd().split('\n').at(-1) ?? '')
    t.match(last, { event: 'error', message: says })
    t.match(JSON.parse(outcome.stdout), { error: { code: last.code } })
    t.strictSame(Object.keys(await inFile()), ['clientId'])
    tellsNoSecret(t, outcome)
  }
})

t.test('trouble of the network is said once, and survived', async t => {
  const { sandbox, env, to } = await deviceFor(t)
  sandbox.faults.add({ on: 'code', times: 2, do: { status: 503 } })
  person(t, sandbox)
  const { code, stderr } = await run(['pair', ...to], { env })
  t.equal(code, 0)
  t.equal(stderr.match(/Asking for a code failed: .*503.*; it is tried again\n/g)?.length, 1)
})

t.test('a device that may not ask who it is has its tokens all the same', async t => {
  const { sandbox, env, to, inFile } = await deviceFor(t)
  sandbox.faults.add({ on: 'device', do: { status: 403 } })
  person(t, sandbox)
  const { code, stdout } = await run(['pair', ...to], { env })
  t.match(stdout, /^paired, but who the device is could not be asked\n$/)
  t.equal(code, 0)
  t.match(await inFile(), { accessToken: /^sandbox-device-token/ })
})

t.test('what people called it moves no cursor', async t => {
  const { sandbox, env, to } = await deviceFor(t)
  person(t, sandbox, 'Cam\u001b[2J\u0007\r\nA')
  const { code, stdout } = await run(['pair', ...to], { env })
  t.match(stdout, /^device Cam\s?A, project/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  t.notMatch(stdout, /[\x00-\x09\x0b-\x1f]/)
  t.equal(code, 0)
})

t.test('Ctrl-C at each step: 130, no token kept, nothing in flight', async t => {
  const hang: Fault['do'] = { hang: 'answer' }
  for (const [step, command, fault, signal] of [
    ['asking for a code', 'pair', { on: 'code', do: hang }, 'SIGINT'],
    ['between two tries of it', 'pair', { on: 'code', times: 99, do: { status: 503 } }, 'SIGINT'],
    ['while it is shown', 'pair', undefined, 'SIGINT'],
    ['asking whether it was entered', 'pair', { on: 'poll', do: hang }, 'SIGTERM'],
    ['asking who the device is', 'pair', { on: 'device', do: hang }, 'SIGINT'],
    ['asking again who it is', 'devices', { on: 'device', do: hang }, 'SIGINT'],
    ['revoking', 'unpair', { on: 'revoke', do: hang }, 'SIGINT'],
  ] as [string, 'pair' | 'unpair' | 'devices', Fault | undefined, NodeJS.Signals][]) {
    const isNew = command === 'pair'
    const { sandbox, file, env, to, inFile } = await (isNew ? deviceFor(t) : pairedFor(t))
    if (fault) sandbox.faults.add(fault)
    if (fault?.on === 'device' && isNew) person(t, sandbox)
    const before = isNew ? undefined : await inFile()
    const { child, ended, hears } = start([command, ...to], { env })
    if (fault) await until(() => sandbox.faults.fired.length > 0, step)
    else await hears(/the code/)
    child.kill(signal)
    const { code, stdout, stderr } = await ended
    t.match(stderr, /^frameio-upload: aborted/m, step)
    t.match({ code, stdout }, { code: 130, stdout: '' }, step)
    t.strictSame(
      before ?? ['clientId'],
      before ? await inFile() : Object.keys(await inFile()),
      step,
    )
    const isPaired = sandbox.devices.paired.map(({ isPaired }) => isPaired)
    t.strictSame(isPaired, isNew ? isPaired.map(() => false) : [true], step)
    await until(() => sandbox.stats.openSockets === 0, `no connection after ${step}`)
    await (await lock(`${file}.lock`)).release() // Nobody has it.
  }
})

const notLinux = process.platform !== 'linux' && 'Linux alone tells which files are open'

/** Has it this file open just now? Whatever a process hears then its own code has asked for. */
const hasOpen = (pid: number | undefined, path: string): boolean => {
  const fds = `/proc/${pid}/fd`
  return readdirSync(fds).some(fd => {
    try {
      return readlinkSync(join(fds, fd)) === path
    } catch {
      return false // It was closed meanwhile.
    }
  })
}

t.test('Ctrl-C while another process has the file', { skip: notLinux }, async t => {
  const { sandbox, file, env, to } = await deviceFor(t)
  const theirs = await lock(`${file}.lock`)
  const { child, ended } = start(['pair', ...to], { env })
  await until(() => hasOpen(child.pid, `${file}.lock`), 'the process to wait')
  child.kill('SIGINT')
  t.match(await ended, { code: 130, stdout: '', stderr: /aborted: no token was kept/ })
  await theirs.release()
  t.notOk(existsSync(file))
  t.equal(sandbox.requests.length, 0)
})

t.test('Ctrl-C while it waits to save what it got: it is let go', { skip: notLinux }, async t => {
  const { sandbox, file, env, to, inFile } = await deviceFor(t)
  const { child, ended, hears } = start(['pair', ...to], { env })
  await hears(/the code/)
  const theirs = await lock(`${file}.lock`)
  person(t, sandbox)
  await until(() => hasOpen(child.pid, `${file}.lock`), 'the process to wait')
  child.kill('SIGINT')
  t.match(await ended, { code: 130, stdout: '', stderr: /aborted: no token was kept\n$/ })
  await theirs.release()
  t.strictSame(Object.keys(await inFile()), ['clientId'])
  t.strictSame(callsOf(sandbox).slice(-2), ['device', 'revoke'])
  t.match(sandbox.devices.paired, [{ isPaired: false }])
})

const STAYS = /stays paired at Frame.io, for revoking its tokens failed: .*; remove it in the proj/

t.test('Ctrl-C where it cannot be let go: that is said, with what to do', async t => {
  const { sandbox, env, to, inFile } = await deviceFor(t)
  sandbox.faults.add({ on: 'device', do: { hang: 'answer' } })
  sandbox.faults.add({ on: 'revoke', times: Infinity, do: { status: 503 } })
  person(t, sandbox)
  const { child, ended } = start(['pair', ...to], { env })
  await until(() => sandbox.faults.fired.length > 0, 'it to be asked who it is')
  child.kill('SIGINT')
  const outcome = await ended
  t.match(outcome, {
    code: 130,
    stdout: '',
    stderr: /: aborted: no token was kept\n {2}The device/,
  })
  t.match(outcome.stderr, STAYS)
  t.strictSame(Object.keys(await inFile()), ['clientId'])
  tellsNoSecret(t, outcome)
})

t.test('where the tokens cannot be kept, the device is let go', async t => {
  for (const fault of [
    undefined,
    { on: 'revoke', times: Infinity, do: { status: 503 } },
  ] as const) {
    const { sandbox, file, env, to } = await deviceFor(t)
    if (fault) sandbox.faults.add(fault)
    const { ended, hears } = start(['pair', ...to], { env })
    await hears(/the code/)
    await rm(file)
    await mkdir(file)
    person(t, sandbox)
    const outcome = await ended
    t.match(outcome, { code: 1, stdout: '', stderr: /: --credentials must be a regular file/ })
    t.equal(STAYS.test(outcome.stderr), fault !== undefined)
    t.match(sandbox.devices.paired, [{ isPaired: fault !== undefined }])
    tellsNoSecret(t, outcome)
  }
})

/** Of those who call the library: nothing that can be typed. */
const THEIRS = /pass a|function|`|clientId and|parentId|baseUrl|apiTimeout|check the id/

t.test('each refusal says what to type, or to do, next', async t => {
  for (const [status, error, says] of [
    [
      401,
      'no',
      /401 \(no\)\n {2}This pairs it again: frameio-upload pair --credentials \S+json\n$/,
    ],
    [
      402,
      'usage exceeded',
      /usage exceeded\); the account's plan allows no more: delete what.*\n$/,
    ],
    [403, 'no', /lacks the right to do this\n {2}It may film all the same: .*\n$/],
    [
      404,
      'no',
      /C2C Connections: then pair it again\n {2}This pairs it: frameio-upload pair .*\n$/,
    ],
    [409, 'Channel Paused', /has paused the device or its channel: resume it in the project's C2C/],
  ] as const) {
    const { sandbox, to } = await pairedFor(t)
    sandbox.faults.add({ on: 'device', times: Infinity, do: word(error, status) })
    const outcome = await run(['devices', ...to])
    t.match(outcome, { code: 1, stdout: '' })
    t.match(outcome.stderr, says)
    t.notMatch(outcome.stderr, THEIRS)
    tellsNoSecret(t, outcome)
  }
})

t.test('id and secret are named where they were found', async t => {
  for (const [kept, says] of [
    [['clientId', 'clientSecret'], /check clientId in \S+json and clientSecret in \S+json\n$/],
    [['clientId'], /check clientId in \S+json and FRAMEIO_CLIENT_SECRET\n$/],
    [[], /check FRAMEIO_CLIENT_ID and FRAMEIO_CLIENT_SECRET\n$/],
  ] as const) {
    const { sandbox, file, device, to, clientSecret, inFile } = await pairedFor(t)
    const { clientId } = device
    const { clientId: _, clientSecret: __, ...tokens } = await inFile()
    const all = { clientId, clientSecret }
    const own = Object.fromEntries(kept.map(name => [name, all[name]]))
    await writeFile(file, JSON.stringify({ ...tokens, ...own }))
    const env = { FRAMEIO_CLIENT_ID: clientId, FRAMEIO_CLIENT_SECRET: clientSecret }
    sandbox.faults.add({ on: 'token', times: Infinity, do: word('invalid_client') })
    device.expire()
    const outcome = await run(['devices', ...to], { env })
    t.match(outcome, { code: 1, stdout: '', stderr: says })
    t.notMatch(outcome.stderr, THEIRS)
    sandbox.faults.add({ on: 'revoke', times: Infinity, do: word('invalid_client') })
    const { stderr } = await run(['unpair', ...to], { env })
    t.match(stderr.replace(", which is that of the device's model", ''), says)
    tellsNoSecret(t, outcome)
  }
})

t.test('where Frame.io cannot be told, the tokens stay', async t => {
  const { sandbox, to, inFile } = await pairedFor(t)
  const before = await inFile()
  sandbox.faults.add({ on: 'revoke', times: Infinity, do: word('invalid_client') })
  const { code, stderr } = await run(['unpair', ...to])
  t.match(stderr, /Unpairing failed, and the tokens stay where they are: .*check clientId/)
  t.equal(code, 1)
  t.strictSame(await inFile(), before)
})

t.test('no advice names a flag that there is not', async t => {
  const { to } = await pairedFor(t)
  const away = [...to.slice(0, 2), '--base-url', 'http://127.0.0.1:9']
  const { code, stderr } = await run(['devices', ...away])
  t.equal(code, 1)
  t.match(
    stderr,
    /Reading the device failed: .*127\.0\.0\.1:9\n {2}Check the network, and a proxy or/,
  )
  t.notMatch(stderr, '--give-up-after')
})

t.test('what makes no sense ends with 2 before anything is made or asked', async t => {
  const { sandbox, file, env, to } = await deviceFor(t)
  const base = ['--base-url', sandbox.url]
  const none = { FRAMEIO_CLIENT_SECRET: undefined }
  await mkdir(join(dirname(file), 'folder'))
  const at = (name: string) => ['--credentials', join(dirname(file), name), ...base]
  const kinds: [args: string[], says: RegExp | string, content?: string, env?: object][] = [
    [['pair', ...base], 'pair needs --credentials FILE'],
    [['pair', '--credentials', '', ...base], '--credentials must not be empty'],
    [['pair', ...to, '--bogus'], "Unknown option '--bogus'\n"],
    [['pair', ...to, '--credential', file], 'did you mean --credentials?'],
    [['pair', ...to, 'now'], "Unexpected argument 'now'\n"],
    [['pair', ...to, '--base-url', 'http://frame.io'], '--base-url must be an https URL'],
    [['pair', ...to, '--device', '1'], /--device|device.clientVersion must be a semantic version/],
    [
      ['pair', ...to],
      /There is no client secret: put clientSecret into .*json, or set FRAM/,
      '',
      none,
    ],
    [
      ['pair', ...to],
      '--credentials must be a file of JSON with an object in it',
      'sandbox-secret',
    ],
    [['pair', ...to], '--credentials must be a file of JSON with an object in it', '[1]'],
    [
      ['pair', ...to],
      /clientId in .* must be a non-empty string; received number/,
      '{"clientId":7}',
    ],
    [['pair', ...to], /clientSecret in .* received an empty one/, '{"clientSecret":""}'],
    [
      ['pair', ...at('folder')],
      /--credentials must be a regular file: .*; received .*folder, which is none/,
    ],
    [['pair', ...at('none/f.json')], /--credentials must be one that can be .*ENOENT/],
    [['pair', ...to], 'http_proxy must be', '', { http_proxy: 'ftp://proxy:1' }],
    [['unpair', ...to], /no file \S+json: frameio-upload pair --credentials \S+json makes it\n/],
    [['devices', ...to], /no file \S+json: frameio-upload pair --credentials \S+json makes it\n/],
    [['devices', ...to], '--credentials must be a file of JSON', 'no'],
    [['--asset', 'a', 'pair'], "Unexpected argument 'pair': pair must come first"],
  ]
  for (const [args, says, content = '', more] of kinds) {
    const told = `${args[0]} ${says}`
    await rm(file, { force: true })
    if (content) await writeFile(file, content)
    const outcome = await run(args, { env: { ...env, ...more } })
    t.match(outcome, { code: 2, stdout: '' }, told)
    t.match(outcome.stderr, says, told)
    tellsNoSecret(t, outcome)
    if (content) t.equal(await readFile(file, 'utf8'), content, told)
    else t.notOk(existsSync(file), told)
  }
  t.equal(sandbox.requests.length, 0)
})

t.test('each says what it does', async t => {
  for (const command of ['pair', 'unpair', 'devices']) {
    const { code, stdout } = await run([command, '--help'])
    t.equal(code, 0)
    t.match(stdout, new RegExp(`^frameio-upload ${command}: [^]*--credentials FILE[^]*130 aborted`))
    const lines = stdout.trimEnd().split('\n')
    t.ok(lines.length <= 24 && lines.every(line => line.length <= 80))
  }
})

t.test('on a terminal', { skip: noTerminal }, async t => {
  t.test('the code is large, the link a picture, and the time runs down', async t => {
    const { sandbox, env, to } = await deviceFor(t)
    const { ended, shown, shows } = openTerminal(`stty cols 80; ${lineOf(['pair', ...to])}`, {
      env,
    })
    await shows(/1:5\d left; Ctrl-C gives up.*1:5\d left/s)
    const [code = ''] = sandbox.devices.waiting
    const link = `https://sandbox.invalid/pair?user_code=${code}`
    for (const line of renderUnicodeCompact(link, { border: 2 }).split('\n')) {
      t.ok(shown().includes(line), 'a line of the QR code')
    }
    t.match(shown(), /\[97m.*\[40m█████/, 'white, whatever the ground is')
    t.ok(shown().includes(`Open ${link}`))
    t.match(shown(), / {2}██/, 'large digits')
    t.notOk(shown().includes(`\n${code}`))
    sandbox.devices.enter(code)
    t.equal(await ended, 0)
    const [paired, who] = screenOf(shown()).slice(-3)
    t.match(paired, /^frameio-upload: paired; its tokens are kept in /, 'the time has gone')
    t.match(who, /^device Sandbox device, project Sandbox project /)
  })

  t.test('a narrow one gets the digits as they are, and Ctrl-C leaves nothing behind', async t => {
    const { sandbox, env, to, inFile } = await deviceFor(t)
    const line = `stty cols 30; ${lineOf(['pair', ...to])}`
    const { ended, shown, shows, press } = openTerminal(line, { env })
    await shows(/left; Ctrl-C/)
    t.match(shown(), `\n${sandbox.devices.waiting[0]}\r\n`)
    t.notMatch(shown(), '██')
    press(KEYS.ctrlC)
    t.equal(await ended, 130)
    t.match(shown(), /aborted: no token was kept/)
    t.strictSame(Object.keys(await inFile()), ['clientId'])
  })
})
