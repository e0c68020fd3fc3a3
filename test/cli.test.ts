/**
 * The built command, as people run it: real programs, real signals, exit codes.
 */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { decode, findFfmpeg } from '../examples/support/ffmpeg.ts'
import type { Sandbox, SandboxAsset } from '../lib/sandbox/index.ts'
import { accountFor, shell } from './support/account.ts'
import { CLI, type CommandOptions, commandLines, run, start } from './support/command.ts'
import { bytes, sha256, until } from './support/sandboxes.ts'
import { noSmallDisk, smallDisk } from './support/small-disk.ts'

const MiB = 2 ** 20
/** A guard against hanging, and no more. */
t.setTimeout(600_000)
t.jobs = 4 // Each has programs of its own, and waits for them most of the time.

const ffmpeg = await findFfmpeg()

/** Arguments with which ffmpeg films at the pace of a camera; without seconds it never ends. */
const film = (seconds?: number, ...more: string[]) => [
  ...['-hide_banner', '-nostdin', '-v', 'error', '-re'],
  ...['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25'],
  ...(seconds === undefined ? [] : ['-t', String(seconds)]),
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '12'],
  ...['-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov', ...more, 'pipe:1'],
]

const newestAsset = (sandbox: Sandbox): SandboxAsset => {
  const paths = sandbox.requests.map(({ path }) => /assets\/([\w-]+)\/realtime/.exec(path)?.[1])
  const asset = sandbox.asset(paths.findLast(id => id !== undefined) ?? '')
  if (!asset) throw new Error('Nothing was registered')
  return asset
}

const fileSum = async (path: string) => {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/** Some 7 MB of numbers, one a line. */
const NUMBERS = Array.from({ length: 1_000_000 }, (_, index) => `${index + 1}\n`).join('')
const COUNT = 'seq 1 1000000'

t.test('the three lines that the help begins with', async t => {
  t.test('ffmpeg … | frameio-upload --asset ID --filetype video/mp4', async t => {
    const { asset, env, to } = await accountFor(t)
    const copy = join(t.testdir(), 'copy.mp4')
    const line = '"$@" | tee "$COPY" | "$NODE" "$CLI" $TO'
    const more = { COPY: copy, NODE: process.execPath, CLI, TO: to.join(' ') }
    const { stdout } = await promisify(execFile)('sh', ['-c', line, 'sh', ffmpeg, ...film(2)], {
      env: { ...process.env, ...env, ...more },
    })
    t.match(stdout, new RegExp(`^${asset.id} {2}\\d+ bytes {2}1 parts {2}[\\d.]+ s\n$`))
    await asset.whenUploaded()
    t.equal(asset.sha256, await fileSum(copy))
    t.equal(await decode(asset.path ?? ''), '')
  })

  t.test('frameio-upload --parent FOLDER --name A001.mp4 -- ffmpeg …', async t => {
    const { sandbox, env, base } = await accountFor(t)
    const args = [...base, '--parent', sandbox.parentId, '--name', 'A001.mp4', '--', ffmpeg]
    const { code, stderr } = await run([...args, ...film(2)], { env })
    t.equal(stderr, '')
    t.equal(code, 0)
    const asset = newestAsset(sandbox)
    await asset.whenUploaded()
    t.match(asset, { name: 'A001.mp4', filetype: 'video/mp4' })
    t.equal(await decode(asset.path ?? ''), '')
  })

  t.test('frameio-upload --sandbox ./out --name A001.mp4 < clip.mp4', async t => {
    const cwd = t.testdir()
    const clip = bytes(6 * MiB)
    await writeFile(join(cwd, 'clip.mp4'), clip)
    const line = `"${process.execPath}" "${CLI}" --sandbox ./out --name A001.mp4 < clip.mp4`
    const { stdout } = await promisify(execFile)('sh', ['-c', line], { cwd })
    const [, path = ''] =
      /^[\w-]+ {2}6291456 bytes {2}2 parts {2}[\d.]+ s {2}(.+)\n$/.exec(stdout) ?? []
    t.match(path, /out\/[\w-]+\/A001\.mp4$/)
    t.equal(await fileSum(resolve(cwd, path)), sha256(clip))
  })
})

t.test('options', async t => {
  const upload = async (
    t: Test,
    args: readonly string[],
    { input = 'some bytes', ...options }: CommandOptions = {},
  ) => {
    const account = await accountFor(t)
    const outcome = await run([...account.base, ...args], {
      ...options,
      input,
      env: { ...account.env, ...options.env },
    })
    return { ...account, ...outcome, asset: newestAsset(account.sandbox) }
  }

  t.test('an asset that was created unnamed is named at the end', async t => {
    const { sandbox } = await accountFor(t)
    const args = ['--extension', '.mp4', '--name', 'A001_C002.mp4', '--parent', sandbox.parentId]
    const env = { FRAMEIO_TOKEN: sandbox.token }
    const { code } = await run(['--base-url', sandbox.url, ...args], { input: 'x', env })
    t.equal(code, 0)
    const asset = newestAsset(sandbox)
    await asset.whenUploaded()
    t.equal(asset.name, 'A001_C002.mp4')
  })

  t.test('an asset that was there unnamed is named at the end', async t => {
    const { sandbox, env, base } = await accountFor(t)
    const { id } = sandbox.createAsset({ extension: '.mp4', filetype: 'video/mp4' })
    const { code } = await run([...base, '--asset', id, '--name', 'B007.mp4'], { env, input: 'x' })
    t.equal(code, 0)
    await sandbox.asset(id)?.whenUploaded()
    t.equal(sandbox.asset(id)?.name, 'B007.mp4')
  })

  t.test('of an asset on a device nothing is asked', async t => {
    const { sandbox, env, to } = await accountFor(t)
    const { code } = await run([...to, '--device', '1.2.3'], { env, input: 'x' })
    t.equal(code, 0)
    t.notOk(sandbox.requests.some(({ operation }) => operation === 'get'))
  })

  t.test('stdin is what the producer reads', async t => {
    const { asset, env, to } = await accountFor(t)
    const { code } = await run([...to, '--', 'cat'], { env, input: 'some bytes' })
    t.equal(code, 0)
    await asset.whenUploaded()
    t.equal(await readFile(asset.path ?? '', 'utf8'), 'some bytes')
  })

  t.test('--give-up-after is heeded during the take', async t => {
    const { sandbox, env, to } = await accountFor(t)
    sandbox.faults.add({ on: 'put', times: Number.POSITIVE_INFINITY, do: { status: 503 } })
    const { code, stderr } = await run([...to, '--give-up-after', '1s'], { env, input: 'x' })
    t.equal(code, 1)
    t.match(stderr, /--give-up-after says how long to go on trying/)
  })

  t.test('a device', async t => {
    const { code, asset, sandbox } = await upload(t, ['--device', '1.2.3', '--name', 'A001.mov'])
    t.equal(code, 0)
    t.match(asset, { name: 'A001.mov', filetype: 'video/quicktime' })
    const calls = sandbox.requests.filter(({ side }) => side === 'api')
    t.equal(calls.shift()?.path, '/v2/devices/me')
    t.ok(calls.every(({ path }) => path.startsWith('/v2/devices/assets')))
    t.ok(calls.every(({ headers }) => headers['x-client-version'] === '1.2.3'))
  })

  t.test('sizes, lanes, integrity and patience reach the library', async t => {
    const sizes = ['--part-size', '6MiB', '--memory', '13MB', '--max-size', '1GiB']
    const expect = ['--expect', '2s@52Mbit/s']
    const rest = [...expect, '--concurrency', '2', '--integrity', 'md5', '--give-up-after', '5m']
    const input = bytes(13 * MiB)
    const device = ['--device', '0.0.1', '--name', 'a.wav']
    const { code, asset, sandbox } = await upload(t, [...device, ...sizes, ...rest], { input })
    t.equal(code, 0)
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(input))
    t.strictSame(
      asset.parts.map(({ size }) => size),
      [6 * MiB, 6 * MiB, MiB],
    )
    const puts = sandbox.requests.filter(({ operation }) => operation === 'put')
    t.ok(puts.every(({ headers }) => headers['content-md5'] !== undefined))
  })

  t.test('more than --max-size is refused', async t => {
    const device = ['--device', '0.0.1', '--name', 'a.mp4', '--max-size', '4B']
    const { base, env } = await accountFor(t)
    const { code, stderr, stdout } = await run([...base, ...device], { input: '12345', env })
    t.match(stderr, /frameio-upload: The stream must have at most --max-size \(4\) bytes/)
    t.match(stderr, /Raise --max-size\.\nframe.*: Asset [\w-]+, which was created for it, is empty/)
    t.equal(stdout, '')
    t.equal(code, 1)
  })

  t.test('--json tells the result in one object, and progress in lines', async t => {
    const { sandbox, asset, env, to } = await accountFor(t)
    sandbox.faults.add({ on: 'put', part: 1, do: { status: 503 } })
    const producer = shell(`${COUNT}; sleep 1.2; echo end; exit 9`)
    const { code, stdout, stderr } = await run([...to, '--json', ...producer], { env })
    t.equal(code, 3)
    t.match(JSON.parse(stdout), {
      assetId: asset.id,
      bytes: NUMBERS.length + 4,
      parts: 2,
      seconds: Number,
      source: { ok: false, exitCode: 9 },
    })
    const events = stderr
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    const progress = events.find(({ event }) => event === 'progress')
    t.match(progress, { bytesReceived: Number, rateIn: Number, rateOut: Number, retries: Number })
    t.match(
      events.find(({ event }) => event === 'retry'),
      { stage: 'put', code: 'ERR_SERVER' },
    )
    t.match(events.at(-1), { event: 'producer-failed', exitCode: 9 })
  })

  t.test('--json stays JSON, whatever a producer has to say', async t => {
    const { env, to } = await accountFor(t)
    const words = String.raw`Error opening "https://cdn/x.m3u8?token=1" and\nBearer abc"x`
    const script = `echo x; printf '%s' '${words}' >&2; exit 1`
    const { stderr } = await run([...to, '--json', ...shell(script)], { env })
    const events = stderr
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    t.match(events.at(-1).stderr, /^Error opening "https:\/\/cdn\/x\.m3u8\?\[redacted\]" and/)
  })

  t.test('--json with --quiet has the result alone', async t => {
    const { env, to } = await accountFor(t)
    const { stdout, stderr } = await run([...to, '--json', '--quiet'], { input: 'x', env })
    t.equal(stderr, '')
    t.match(JSON.parse(stdout), { bytes: 1 })
  })

  t.test('--json tells a failure in one object', async t => {
    const { sandbox, asset, env, to } = await accountFor(t)
    sandbox.faults.add({ on: 'put', do: { status: 400 } })
    const { code, stdout } = await run([...to, '--json'], { input: 'x', env })
    t.equal(code, 1)
    t.match(JSON.parse(stdout), {
      assetId: asset.id,
      error: { code: 'ERR_STORAGE_REJECTED', message: String },
    })
  })

  t.test('--quiet says nothing but what went wrong', async t => {
    const { sandbox, env, to } = await accountFor(t)
    sandbox.faults.add({ on: 'put', do: { status: 503 } })
    const fine = await run([...to, '--quiet'], { input: 'x', env })
    t.match(fine, { code: 0, stderr: '' })
    const other = await accountFor(t)
    const failing = [...other.to, '--quiet', ...shell('echo x; exit 7')]
    const { stderr } = await run(failing, { env: other.env })
    t.match(stderr, /producer failed \(exit code 7\)/)
  })

  t.test('--verbose adds what is underneath', async t => {
    const args = ['--base-url', 'http://127.0.0.1:1', '--asset', 'a1', '--name', 'a.mp4']
    const env = { FRAMEIO_TOKEN: 'secret-token' }
    const { code, stderr } = await run([...args, '--verbose', '--give-up-after', '1s'], { env })
    t.match(stderr, /Reading asset a1 failed: .*ECONNREFUSED/)
    t.match(stderr, /--give-up-after says how long/)
    t.match(stderr, /\n {2}caused by Error ECONNREFUSED: /)
    t.notMatch(stderr, 'secret-token')
    t.equal(code, 1)
  })

  t.test('--wait waits until Frame.io says so', async t => {
    const { sandbox, asset, env, to } = await accountFor(t)
    const { code } = await run([...to, '--wait'], { input: 'x', env })
    t.equal(code, 0)
    t.equal(asset.status, 'uploaded')
    t.equal(sandbox.requests.findLast(({ side }) => side === 'api')?.operation, 'get')
  })

  t.test('the asset is asked for before the take, unless told otherwise', async t => {
    const { sandbox, asset, env, to } = await accountFor(t)
    const took = join(t.testdir(), 'took')
    const wrong = { FRAMEIO_TOKEN: 'wrong' }
    const early = await run([...to, ...shell(`touch ${took}; echo x`)], { env: wrong })
    t.equal(early.code, 1)
    t.match(early.stderr, /Frame\.io answered 401/)
    t.match(early.stderr, /Put a valid token into FRAMEIO_TOKEN/)
    await t.rejects(readFile(took), 'the take never began')
    sandbox.faults.add({ on: 'get', times: Number.POSITIVE_INFINITY, do: { status: 400 } })
    const { code } = await run([...to, '--no-check', ...shell('echo x')], { env })
    t.equal(code, 0)
    await asset.whenUploaded()
  })

  t.test('a token file is read again when its token was refused', async t => {
    const { sandbox, asset, to } = await accountFor(t)
    const file = join(t.testdir(), 'token')
    await writeFile(file, `${sandbox.token}\n`)
    const command = start([...to, '--token-file', file], { input: bytes(6 * MiB), open: true })
    await until(() => asset.storedBytes > 0)
    await writeFile(file, sandbox.renewToken())
    command.child.stdin?.end(bytes(MiB))
    const { code } = await command.ended
    t.equal(code, 0)
    await asset.whenUploaded()
    t.ok(sandbox.requests.some(({ status }) => status === 401))
  })

  t.test('a token file whose next token is late is read until it is there', async t => {
    const { sandbox, asset, to } = await accountFor(t)
    const file = join(t.testdir(), 'token')
    await writeFile(file, sandbox.token)
    const args = [...to, '--token-file', file, '--json']
    const command = start(args, { input: bytes(6 * MiB), open: true })
    await until(() => asset.storedBytes > 0)
    const next = sandbox.renewToken()
    command.child.stdin?.end(bytes(MiB))
    await command.hears(/holds no new token yet/)
    await writeFile(file, '') // Halfway through.
    await command.hears(/is empty/)
    await writeFile(file, 'error: try again')
    await command.hears(/must hold the token alone/)
    await writeFile(file, next)
    const { code, stdout } = await command.ended
    t.equal(code, 0)
    t.equal(JSON.parse(stdout).bytes, 7 * MiB)
    await asset.whenUploaded()
  })

  t.test('a sandbox without a folder keeps its file', async t => {
    const folder = t.testdir()
    const options = { input: 'some bytes', env: { TMPDIR: folder } }
    const { code, stdout } = await run(['--sandbox', '--name', 'a.mp4'], options)
    t.equal(code, 0)
    const path = stdout.trimEnd().split('  ').at(-1) ?? ''
    t.ok(path.startsWith(folder))
    t.equal(await readFile(path, 'utf8'), 'some bytes')
  })

  t.test('an MP4 with its index last is warned of', async t => {
    const { env, to } = await accountFor(t)
    const input = Buffer.alloc(64)
    input.writeUInt32BE(24)
    input.write('ftyp', 4)
    input.write('mdat', 28)
    const { code, stderr } = await run(to, { input, env })
    t.match(stderr, /index \(moov\) last.*-movflags/)
    t.equal(code, 0)
  })

  t.test('--help fits on a screen, and --version is that of the package', async t => {
    const help = await run(['--help'])
    t.equal(help.code, 0)
    const lines = help.stdout.trimEnd().split('\n')
    t.ok(lines.length <= 50, `${lines.length} lines`)
    t.ok(lines.every(line => line.length <= 80))
    const { version } = JSON.parse(await readFile('package.json', 'utf8'))
    t.match(await run(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

t.test('arguments that make no sense end with 2, and say what to do', async t => {
  const token = { FRAMEIO_TOKEN: 'token' }
  for (const [args, says, env = token] of [
    [[], /Give --asset ID, or --parent ID and --name FILE, or --sandbox/],
    [['--asset', 'a1'], /--filetype TYPE is needed, such as video\/mp4: there is no name/],
    [['--asset', 'a1', '--name', 'a.qqq'], /'a\.qqq' does not tell it/],
    [['--asset', 'a/1', '--name', 'a.mp4'], /--asset must be an id of Frame\.io's/],
    [['--asset', 'a1', '--name', 'mp4', '--filetype', 'a/b'], /--name must be a name with an ext/],
    [['--asset', 'a1', '--parent', 'p1', '--name', 'a.mp4'], /--parent is for a new asset/],
    [['--asset', 'a1', '--extension', '.mp4'], /--extension is for a new asset/],
    [['--parent', 'p1'], /--parent needs --name FILE, or --extension/],
    [['--name', 'a.mp4'], /--name needs --parent ID/],
    [
      ['--device', '1.0.0', '--parent', 'p', '--name', 'a.mp4'],
      /--parent has no meaning with --dev/,
    ],
    [['--device', '1.0.0', '--name', 'a.mp4', '--wait'], /--wait has no meaning with --device/],
    [['--sandbox'], /--sandbox needs --name FILE/],
    [['--sandbox', '--extension', 'mp4'], /extension/],
    [['--sandbox', 'x', '--asset', 'a1', '--name', 'a.mp4'], /--asset has no meaning with --sand/],
    [['--asset', 'a1', '--name', 'a.mp4', '--token', 'abc'], /There is no --token.*FRAMEIO_TOKEN/],
    [['--asset', 'a1', '--name', 'a.mp4'], /There is no token: set FRAMEIO_TOKEN/, {}],
    [['--asset', 'a1', '--name', 'a.mp4', '--token-file', '/none'], /--token-file cannot be read/],
    [['--asset', 'a1', '--name', 'a.mp4', '--token-file', '/dev/null'], /\/dev\/null is empty/],
    [
      ['--asset', 'a1', '--name', 'a.mp4', '--part-size', '16 apples'],
      /--part-size must be a size such as 16MiB, 500MB or 1GiB; received '16 apples'/,
    ],
    [
      ['--asset', 'a1', '--name', 'a.mp4', '--part-size', '1MiB'],
      /--part-size must be at least 5MiB; received 1MiB \(1,048,576 bytes\)/,
    ],
    [['--asset', 'a1', '--name', 'a.mp4', '--memory', '-5'], /-5 looks like an option/],
    [['--asset', 'a1', '--name', 'a.mp4', '--max-size', ''], /--max-size must be a size/],
    [
      ['--asset', 'a1', '--name', 'a.mp4', '--expect', '12h'],
      /--expect must be a size such as 250GiB, or a time at a rate such as 12h@50Mbit\/s/,
    ],
    [
      ['--asset', 'a1', '--name', 'a.mp4', '--expect', '9d@1GB/s'],
      /--expect must be at most 5TiB; received 9d@1GB\/s \(777,600,000,000,000 bytes\)/,
    ],
    [
      ['--asset', 'a1', '--name', 'a.mp4', '--give-up-after', '10'],
      /--give-up-after must be a time such as 90s/,
    ],
    [
      ['--asset', 'a1', '--name', 'a.mp4', '--concurrency', 'many'],
      /--concurrency must be an integer/,
    ],
    [['--asset', 'a1', '--name', 'a.mp4', '--integrity', 'sha'], /--integrity must be md5/],
    [
      ['--asset', 'a1', '--name', 'a.mp4', '--base-url', 'http://frame.io'],
      /--base-url must be an https URL/,
    ],
    [['--asset', 'a1', '--name', 'a.mp4', '--device', 'x'], /--device must be a semantic version/],
    [
      ['--asset', 'a1', '--name', 'a.mp4', '--on-producer-failure', 'cry'],
      /must be finalise or abort/,
    ],
    [['--asset', 'a1', '--name', 'a.mp4', '--'], /-- must be followed by a program/],
    [['--assets', 'a1'], /Unknown option '--assets'/],
    [['clip.mp4'], /Unexpected argument 'clip\.mp4'/],
  ] as const) {
    const { code, stdout, stderr } = await run(args, { env })
    t.match(stderr, says, args.join(' '))
    t.match(stderr, /^frameio-upload: .+/)
    t.equal(stdout, '')
    t.equal(code, 2, args.join(' '))
  }
})

t.test('a producer that fails', async t => {
  t.test('is told with its last words, and what it wrote is there', async t => {
    const { asset, env, to } = await accountFor(t)
    const producer = shell(`${COUNT}; seq 20 >&2; echo the tape is torn >&2; exit 69`)
    const { code, stderr } = await run([...to, ...producer], { env })
    t.equal(code, 3)
    const says = 'the producer failed (exit code 69); what it wrote is uploaded and finalised'
    const lines = [says, ...[14, 15, 16, 17, 18, 19, 20], 'the tape is torn']
    t.equal(stderr, `frameio-upload: ${lines.join('\n  ')}\n`)
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(Buffer.from(NUMBERS)))
  })

  t.test('by kill -9: all bytes that it wrote are there', async t => {
    const { asset, env, to } = await accountFor(t)
    const { code, stderr } = await run([...to, ...shell(`${COUNT}; kill -9 $$`)], { env })
    t.equal(code, 3)
    t.match(stderr, /the producer failed \(SIGKILL\)/)
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(Buffer.from(NUMBERS)))
  })

  t.test('with --on-producer-failure abort leaves the asset unfinished', async t => {
    const { asset, env, to } = await accountFor(t)
    const args = [...to, '--on-producer-failure', 'abort', ...shell('echo x; exit 5')]
    const { code, stdout, stderr } = await run(args, { env })
    t.match(stderr, /The source failed: exit code 5\n {2}Asset .+ stays unfinished/)
    t.equal(stdout, '')
    t.equal(code, 1)
    t.equal(asset.status, 'created')
  })

  t.test('before its first byte, or that is not there', async t => {
    const { env, to } = await accountFor(t)
    const silent = await run([...to, ...shell('echo no camera >&2; exit 1')], { env })
    t.match(silent, { code: 1, stderr: /exit code 1 \(no camera\)/ })
    const missing = await run([...to, '--', 'no-such-program'], { env })
    t.match(missing, { code: 1, stderr: /spawn no-such-program ENOENT/ })
  })

  t.test('does not see the token', async t => {
    const { asset, env, to } = await accountFor(t)
    await run([...to, ...shell('echo "[$FRAMEIO_TOKEN]"')], { env })
    await asset.whenUploaded()
    t.equal(await readFile(asset.path ?? '', 'utf8'), '[]\n')
  })
})

t.test('signals', async t => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    t.test(`${signal} ends an endless film well`, async t => {
      const { asset, env, to } = await accountFor(t)
      const { child, ended, hears } = start([...to, '--json', '--', ffmpeg, ...film()], { env })
      await hears(/"bytesReceived":[1-9]/)
      child.kill(signal)
      const { code, stdout, stderr } = await ended
      t.match(stderr, /the producer was told to end; .* Once more aborts/)
      t.equal(code, 0, stderr)
      await asset.whenUploaded()
      t.equal(JSON.parse(stdout).bytes, asset.filesize)
      t.equal(await decode(asset.path ?? ''), '')
    })
  }

  t.test('the producer gets one, whatever the terminal and npx do', async t => {
    const { asset, env, to } = await accountFor(t)
    const ready = join(t.testdir(), 'ready')
    const script = `trap "echo got one" INT; echo ready; touch ${ready}; sleep 1 & wait; sleep 0.3`
    const { child, ended } = start([...to, ...shell(script)], { env })
    await until(() => existsSync(ready), 'the producer to run')
    child.kill('SIGINT')
    child.kill('SIGINT')
    const { code } = await ended
    t.equal(code, 0)
    await asset.whenUploaded()
    t.equal(await readFile(asset.path ?? '', 'utf8'), 'ready\ngot one\n')
  })

  t.test('many within half a second are one, up to the very end', async t => {
    const ready = join(t.testdir(), 'ready')
    const script = `trap "exit 0" INT; echo x; touch ${ready}; while :; do sleep 0.02; done`
    // To close a sandbox takes a while, in which nothing is left to do.
    const args = ['--sandbox', t.testdir(), '--name', 'a.mp4', ...shell(script)]
    const { child, ended } = start(args)
    await until(() => existsSync(ready), 'the producer to run')
    const first = performance.now()
    const timer = setInterval(() => {
      if (performance.now() - first < 250) child.kill('SIGINT')
    }, 3)
    const { code, stdout } = await ended
    clearInterval(timer)
    t.equal(code, 0)
    t.match(stdout, /2 bytes {2}1 parts/)
  })

  t.test('a second one aborts', async t => {
    const { asset, env, to } = await accountFor(t)
    const ready = join(t.testdir(), 'ready')
    const marker = `60.1${process.pid}`
    const stubborn = shell(`trap "" INT TERM; echo x; touch ${ready}; sleep ${marker}`)
    const { child, ended, hears } = start([...to, ...stubborn], { env })
    await until(() => existsSync(ready), 'the producer to run')
    child.kill('SIGINT')
    await hears(/Once more aborts/)
    await new Promise(resolve => setTimeout(resolve, 600))
    child.kill('SIGINT')
    const { code, stdout, stderr } = await ended
    t.match(stderr, /aborted\n {2}Asset .* stays unfinished\.\n$/)
    t.equal(stdout, '')
    t.equal(code, 130)
    t.equal(asset.status, 'created')
    t.notOk(commandLines().some(line => line.includes(`sleep ${marker}`)))
  })

  t.test('a program that ends because of it has ended well, but for kill -9', async t => {
    const loop = 'while :; do sleep 0.05; done'
    for (const [signal, script, expected, wrote = 'x\n'] of [
      ['SIGINT', 'READY; exec sleep 60', 0],
      ['SIGINT', `trap "exit 130" INT; READY; ${loop}`, 0],
      ['SIGTERM', `trap "exit 255" TERM; READY; ${loop}`, 0],
      ['SIGINT', `trap "exit 9" INT; READY; ${loop}`, 3],
      ['SIGINT', `trap 'kill -9 $$' INT; READY; ${loop}`, 3],
      ['SIGTERM', `trap "echo term; exit 0" TERM; READY; ${loop}`, 0, 'x\nterm\n'],
    ] as const) {
      const { asset, env, to } = await accountFor(t)
      const ready = join(t.testdir(), 'ready')
      const begun = script.replace('READY', `echo x; touch ${ready}`)
      const { child, ended } = start([...to, ...shell(begun)], { env })
      await until(() => existsSync(ready), 'the producer to run')
      child.kill(signal)
      t.equal((await ended).code, expected, `${signal} to ${script}`)
      await asset.whenUploaded()
      t.equal(await readFile(asset.path ?? '', 'utf8'), wrote)
    }
  })

  t.test('with --on-producer-failure abort as well a good end is one', async t => {
    const { asset, env, to } = await accountFor(t)
    const args = [...to, '--json', '--on-producer-failure', 'abort', '--', ffmpeg, ...film()]
    const { child, ended, hears } = start(args, { env })
    await hears(/"bytesReceived":[1-9]/)
    child.kill('SIGINT')
    t.equal((await ended).code, 0)
    await asset.whenUploaded()
    t.equal(await decode(asset.path ?? ''), '')
  })

  t.test('what a program has started gets it too, although the program has ended', async t => {
    const { asset, env, to } = await accountFor(t)
    const script = '(while :; do echo more; sleep 0.05; done) & exit 0'
    const { child, ended, hears } = start([...to, '--json', ...shell(script)], { env })
    await hears(/"bytesReceived":[1-9]/)
    child.kill('SIGTERM')
    t.equal((await ended).code, 0)
    await asset.whenUploaded()
  })

  t.test('a program that goes on after its stdout does not keep the asset waiting', async t => {
    const { asset, env, to } = await accountFor(t)
    const producer = shell('echo some bytes; exec >&- sleep 60')
    const { child, ended, hears } = start([...to, ...producer], { env })
    await asset.whenUploaded()
    child.kill('SIGINT')
    await hears(/SIGINT: what came is being finalised/)
    t.equal((await ended).code, 0)
  })

  t.test('with a pipe it waits for the end of the input', async t => {
    const { asset, env, to } = await accountFor(t)
    const args = [...to, '--json']
    const { child, ended, hears } = start(args, { env, input: 'some ', open: true })
    await hears(/"bytesReceived":5/)
    child.kill('SIGINT')
    await hears(/SIGINT: waiting for the end of the input, then it is finalised/)
    child.stdin?.end('bytes')
    t.equal((await ended).code, 0)
    await asset.whenUploaded()
    t.equal(await readFile(asset.path ?? '', 'utf8'), 'some bytes')
  })

  t.test('before the take one is enough', async t => {
    const { sandbox, env, to } = await accountFor(t)
    sandbox.faults.add({ on: 'get', do: { hang: 'answer' } })
    const { child, ended } = start([...to, '--', ffmpeg, ...film()], { env })
    await until(() => sandbox.requests.length > 0)
    child.kill('SIGINT')
    t.match(await ended, { code: 130, stderr: /aborted before anything was recorded/ })
  })

  t.test('while it finishes the first says so, and it finishes', async t => {
    const { sandbox, asset, env, to } = await accountFor(t)
    sandbox.faults.add({ on: 'put', do: { delay: 1_500 } })
    const { child, ended } = start([...to, '--', ffmpeg, ...film(1)], { env })
    await until(() => sandbox.stats.putsInFlight > 0)
    await new Promise(resolve => setTimeout(resolve, 300))
    child.kill('SIGINT')
    const { code, stderr } = await ended
    t.match(stderr, /SIGINT: what came is being finalised\. Once more aborts\./)
    t.equal(code, 0)
    await asset.whenUploaded()
    t.equal(await decode(asset.path ?? ''), '')
  })

  t.test('while it waits for Frame.io a second one ends the waiting', async t => {
    const { sandbox, env, to } = await accountFor(t)
    const body = { id: 'x', name: 'a.mp4' }
    sandbox.faults.add({ on: 'get', times: Number.POSITIVE_INFINITY, do: { status: 200, body } })
    const { child, ended, hears } = start([...to, '--wait', ...shell('echo x')], { env })
    const asked = () => sandbox.requests.filter(({ operation }) => operation === 'get').length
    await until(() => asked() > 1)
    child.kill('SIGINT')
    await hears(/Once more aborts/)
    await new Promise(resolve => setTimeout(resolve, 600))
    child.kill('SIGINT')
    const { code, stderr } = await ended
    t.match(stderr, /aborted\n {2}Asset .* has every byte all the same\.\n$/)
    t.equal(code, 130)
  })
})

t.test('an upload that fails ends the producer, and all that it has started', async t => {
  const { sandbox, env, to } = await accountFor(t)
  sandbox.faults.add({ on: 'put', do: { status: 400 } })
  const marker = `30.0${process.pid}`
  const script = `sleep ${marker} & ${COUNT}; wait`
  const { code } = await run([...to, ...shell(script)], { env })
  t.equal(code, 1)
  t.notOk(commandLines().some(line => line.includes(`sleep ${marker}`)))
  const other = await accountFor(t)
  other.sandbox.faults.add({ on: 'put', do: { status: 400 } })
  const stubborn = `trap "" TERM; ${COUNT}; exec sleep ${marker}`
  t.equal((await run([...other.to, ...shell(stubborn)], { env: other.env })).code, 1)
  t.notOk(commandLines().some(line => line.includes(`sleep ${marker}`)))
})

t.test('a sandbox', async t => {
  /** The files that the message says are kept, joined. */
  const keptIn = async (t: Test, dir: string, stderr: string) => {
    const [, first = ''] = /kept: (.+?\.00001)/.exec(stderr) ?? []
    t.ok(first.startsWith(`${dir}/`), stderr)
    const names = (await readdir(dirname(first))).sort()
    t.ok(stderr.trimEnd().includes(names.at(-1) ?? '-'), 'the last is named as well')
    return Buffer.concat(await Promise.all(names.map(name => readFile(join(dirname(first), name)))))
  }

  const firstPartIn = (dir: string) =>
    readdirSync(dir, { recursive: true })
      .map(String)
      .find(path => path.endsWith('.00001'))

  /** A take whose file cannot be put together: a file is where the folder of the asset would be. */
  const obstruct = async (dir: string, input: Buffer, args: readonly string[]) => {
    const { child, ended } = start(args, { input, open: true, env: { TMPDIR: dir } })
    await until(() => firstPartIn(dir) !== undefined, 'a part')
    const part = join(dir, firstPartIn(dir) ?? '')
    await writeFile(join(dirname(part), '..', basename(part, '.00001')), 'in the way')
    child.stdin?.end()
    return ended
  }

  t.test('takes a name of 274 bytes', async t => {
    const input = bytes(6 * MiB)
    const args = ['--sandbox', t.testdir(), '--name', `${'ö'.repeat(135)}.mp4`]
    const { code, stdout } = await run(args, { input })
    t.equal(code, 0)
    const path = stdout.trimEnd().split('  ').at(-1) ?? ''
    t.equal(basename(path), `${'ö'.repeat(125)}.mp4`)
    t.equal(await fileSum(path), sha256(input))
  })

  t.test('keeps what it cannot put together, and says where', async t => {
    for (const folder of ['out', undefined]) {
      const dir = t.testdir()
      const input = bytes(12 * MiB)
      const own = folder === undefined ? ['--sandbox'] : ['--sandbox', join(dir, folder)]
      const outcome = await obstruct(dir, input, [...own, '--name', 'a.mp4'])
      t.match(outcome, { code: 1, stdout: '' })
      t.match(outcome.stderr, /^frameio-upload: 'a\.mp4' could not be put together: EEXIST: .*;/)
      t.ok((await keptIn(t, dir, outcome.stderr)).equals(input))
    }
  })

  t.test('keeps what was stored of a take that was aborted', async t => {
    const dir = t.testdir()
    const args = ['--sandbox', dir, '--name', 'a.mp4']
    const input = bytes(6 * MiB)
    const { child, ended, hears } = start(args, { input, open: true })
    await until(() => firstPartIn(dir) !== undefined, 'a part')
    child.kill('SIGINT')
    await hears(/Once more aborts/)
    await new Promise(resolve => setTimeout(resolve, 600))
    child.kill('SIGINT')
    const { code, stderr } = await ended
    t.equal(code, 130)
    t.match(stderr, /aborted\n {2}It stays unfinished; 5\.0 MiB of it are kept: /)
    t.ok((await keptIn(t, dir, stderr)).equals(input.subarray(0, 5 * MiB)))
  })

  t.test('leaves nothing where nothing was recorded', async t => {
    const dir = t.testdir()
    for (const own of [['--sandbox'], ['--sandbox', dir]]) {
      const wrong = [...own, '--name', 'a.mp4', '--memory', '0']
      const { code, stderr } = await run(wrong, { env: { TMPDIR: dir } })
      t.match(stderr, /--memory must be at least 1 byte; received 0/)
      t.equal(code, 2)
      const empty = await run([...own, '--name', 'a.mp4'], { env: { TMPDIR: dir } })
      t.match(empty, { code: 1, stderr: /\n {2}Nothing of it is stored\.\n$/ })
      t.strictSame(await readdir(dir), [])
    }
  })

  t.test('keeps what fits on a disk that is full', { skip: noSmallDisk }, async t => {
    const dir = smallDisk(t, 6 * MiB)
    const input = bytes(12 * MiB)
    const patience = ['--give-up-after', '1s', '--concurrency', '1']
    const args = ['--sandbox', dir, '--name', 'a.mp4', ...patience]
    const { code, stderr } = await run(args, { input })
    t.equal(code, 1)
    t.match(stderr, /ENOSPC: no space left on device/)
    t.match(stderr, /\n {2}It stays unfinished; 5\.0 MiB of it are kept: /)
    t.ok((await keptIn(t, dir, stderr)).equals(input.subarray(0, 5 * MiB)))
  })
})

t.test('where Frame.io never completes, it is said that every byte is there', async t => {
  const { sandbox, env, to } = await accountFor(t)
  const failed = { id: 'x', name: 'a.mp4', upload_failed_at: '2026-01-01' }
  const body = JSON.stringify(failed)
  sandbox.faults.add({ on: 'get', times: Number.POSITIVE_INFINITY, do: { status: 200, body } })
  const { code, stderr } = await run([...to, '--no-check', '--wait'], { input: 'x', env })
  t.match(
    stderr,
    /Frame\.io says that the upload .* failed\n {2}Asset .* has every byte all the same/,
  )
  t.equal(code, 1)
})

t.test('a stdout that nobody reads does not lose the upload', async t => {
  const { sandbox, asset, env, to } = await accountFor(t)
  sandbox.faults.add({ on: 'put', do: { status: 503 } }) // Of which it would say a word.
  const { child, ended } = start(to, { env, input: bytes(6 * MiB) })
  child.stdout?.destroy()
  child.stderr?.destroy()
  t.equal((await ended).code, 0)
  await asset.whenUploaded()
})

t.test('stdin that is a socket, a pipe and a file are read to their ends', async t => {
  const data = bytes(7 * MiB)
  const file = join(t.testdir(), 'clip')
  await writeFile(file, data)
  for (const line of ['cat "$CLIP" | "$NODE" "$CLI" $TO', '"$NODE" "$CLI" $TO < "$CLIP"']) {
    const { asset, env, to } = await accountFor(t)
    const more = { CLIP: file, NODE: process.execPath, CLI, TO: to.join(' ') }
    await promisify(execFile)('sh', ['-c', line], { env: { ...process.env, ...env, ...more } })
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(data), line)
  }
  const { asset, env, to } = await accountFor(t)
  await run(to, { env, input: data })
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

const hasScript = spawnSync('script', ['--version']).status === 0
t.test('on a terminal', { skip: !hasScript && 'there is no `script` from util-linux' }, async t => {
  const inTerminal = async (args: readonly string[], more: Record<string, string>) => {
    // Other opinions on colour: tap's, and Node's, which paints nothing where it sees CI.
    const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...env } = process.env
    const quoted = [process.execPath, CLI, ...args].map(arg => `'${arg}'`).join(' ')
    const { stdout } = await promisify(execFile)('script', ['-qec', quoted, '/dev/null'], {
      env: { ...env, TERM: 'xterm-256color', ...more },
    }).catch(error => error)
    return stdout as string
  }

  t.test('one line is drawn again and again', async t => {
    const { env, to } = await accountFor(t)
    const shown = await inTerminal([...to, ...shell('echo x; sleep 1.5; echo y')], env)
    const line = /in 0\.0 KiB \(.*?\/s\), up .*?, headroom /g
    t.ok((shown.match(line)?.length ?? 0) >= 3)
    t.match(shown.split('\n').at(-2), /\d+ bytes {2}1 parts/, 'and is gone at the end')
  })

  t.test('what went wrong is red, but for those who want no colour', async t => {
    const { env, to } = await accountFor(t)
    const failing = [...to, ...shell('echo x; exit 1')]
    const RED = '\u001b[31m'
    t.ok((await inTerminal(failing, env)).includes(RED))
    t.notOk((await inTerminal(failing, { ...env, NO_COLOR: '1' })).includes(RED))
  })

  t.test('without a source there is only the usage', async t => {
    const { env, to } = await accountFor(t)
    t.match(await inTerminal(to, env), /There is nothing to upload: pipe into this/)
  })
})

t.test('elsewhere a line comes at each event', async t => {
  const { sandbox, env, to } = await accountFor(t)
  sandbox.faults.add({ on: 'put', do: { status: 503 } }, { on: 'register', do: { status: 500 } })
  const { code, stderr } = await run(to, { env, input: 'x' })
  t.match(stderr, /^frameio-upload: registration of part 1 failed, again in \d+ m?s: .*500/m)
  t.match(stderr, /^frameio-upload: PUT of part 1 failed, again in \d+ m?s: .*503/m)
  t.equal(code, 0)
})

t.test('a source that is held for long is told of', async t => {
  const { sandbox, env, to } = await accountFor(t)
  sandbox.faults.add({ on: 'put', part: 1, do: { delay: 2_000 } })
  const args = [...to, '--memory', '1MiB', '--concurrency', '1']
  const { stderr } = await run(args, { env, input: bytes(12 * MiB) })
  t.match(stderr, /the memory is full: the source is held\n.*the source flows again\n/)
})

t.test('the token is nowhere to be seen', async t => {
  const { sandbox, env, to: toAsset } = await accountFor(t)
  const to = [...toAsset, '--no-check'] // It is filled again and again.
  const words = `${sandbox.token} is the token`
  for (const options of [[], ['--json']]) {
    const file = join(t.testdir(), 'token')
    await writeFile(file, sandbox.token)
    const args = [
      ...to,
      ...options,
      '--token-file',
      file,
      ...shell(`echo x; echo ${words} >&2; exit 1`),
    ]
    const { stdout, stderr } = await run(args)
    for (const text of [stdout, stderr]) t.notMatch(text, sandbox.token)
    t.match(stderr, /\[redacted\] is the token/)
  }
  sandbox.faults.add({ on: 'put', do: { status: 403, body: `no, ${sandbox.token}` } })
  const chatty = shell(`echo x; echo ${sandbox.token} >&2; sleep 2; exit 1`)
  const args = [...to, '--json', '--verbose', ...chatty]
  const { ended, said, hears } = start(args, { env })
  await hears(/"event"/)
  const own = commandLines().filter(line => line.includes(`${CLI} --base-url ${sandbox.url}`))
  t.equal(own.length, 1)
  await ended
  // What stands behind `--` is the caller's own doing.
  const before = own[0]?.slice(0, own[0].indexOf(' -- ')) ?? ''
  for (const text of [before, said.stdout, said.stderr]) t.notMatch(text, sandbox.token)
  t.match(said.stderr, /\[redacted\]/)
})

t.test('proxies that the environment names are used', async t => {
  const tunnels: unknown[] = []
  const proxy = createServer().on('connect', ({ url }, near: Socket) => {
    tunnels.push(url)
    const far = connect(Number(new URL(`http://${url}`).port), '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {}) // Either may leave first.
    near.write('HTTP/1.1 200 OK\r\n\r\n')
    near.pipe(far).pipe(near)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close().closeAllConnections())
  const { port } = proxy.address() as AddressInfo
  const { sandbox, env, to } = await accountFor(t)
  const through = { http_proxy: `http://127.0.0.1:${port}`, no_proxy: '', NO_PROXY: '' }
  const { code } = await run(to, { input: 'x', env: { ...env, ...through } })
  t.equal(code, 0)
  t.ok(tunnels.includes(new URL(sandbox.url).host))
})

t.test('nothing is left: no process, no temporary file', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'x'))
  t.teardown(() => rm(folder, { recursive: true }))
  const { env, to } = await accountFor(t)
  const marker = `sleep 0.0${process.pid}`
  for (let time = 0; time < 5; time++) {
    const script = `${marker}; echo x; exit ${time % 2}`
    await run([...to, '--no-check', ...shell(script)], { env: { ...env, TMPDIR: folder } })
  }
  t.strictSame(await readdir(folder), [])
  t.notOk(commandLines().some(line => line.includes(marker)))
})
