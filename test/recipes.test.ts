/**
 * Every recipe of examples/command.md and examples/v4.md, as it stands: the test gives them `frameio-upload`, and an
 * `ffmpeg` that has a test pattern for a camera, a screen and a microphone.
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { decode, findFfmpeg } from '../examples/support/ffmpeg.ts'
import type { Sandbox, SandboxAsset } from '../lib/sandbox/index.ts'
import { CLI } from './support/command.ts'
import { sandboxFor, until } from './support/sandboxes.ts'
import { SELF_SIGNED } from './support/self-signed.ts'

t.setTimeout(600_000)
const run = promisify(execFile)

/** What stands in a document under a title that has something to run: blocks of code, in order. */
const recipesIn = (document: string, from: string) =>
  document
    .split(/^## /m)
    .slice(1)
    .map(section => {
      const [title = ''] = section.split('\n')
      const blocks = [...section.matchAll(/```\w+\n([\s\S]*?)```/g)]
      return [from + title, blocks.map(([, code = '']) => code)] as const
    })

const document = await readFile('examples/command.md', 'utf8')
const recipes = new Map([
  ...recipesIn(document, ''),
  ...recipesIn(await readFile('examples/v4.md', 'utf8'), 'V4: '),
])
const [, FRAGMENTS = ''] = /^FRAGMENTS='(.+)'$/m.exec(document) ?? []

// By its path: on the PATH of the recipes there is another.
const ffmpeg = spawnSync('sh', ['-c', `command -v '${await findFfmpeg()}'`], {
  encoding: 'utf8',
}).stdout.trim()
const folder = t.testdir()

/**
 * An ffmpeg for which these inputs are others, and end after a second; the camera's never ends if it is
 * LIVE.
 */
const standIn = `#!${process.execPath}
const { spawnSync } = require('node:child_process')
const film = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30']
const camera = process.env.LIVE ? ['-re', '-stream_loop', '-1', '-i', 'live.ts'] : ['-i', 'camera.ts']
let args = process.argv.slice(2).join('\\0')
const swap = (input, other) => { args = args.replace(input.join('\\0'), other.join('\\0')) }
swap(['-f', 'x11grab', '-framerate', '30', '-i', ':0.0'], [...film, '-t', '1'])
swap(['-rtsp_transport', 'tcp', '-i', 'rtsp://camera.local/stream'], camera)
swap(['-i', 'rtsp://camera', '-c'], [...camera, '-c'])
swap(['-i', '/dev/video0'], camera)
swap(['-f', 'alsa', '-i', 'default'], ['-f', 'lavfi', '-i', 'sine', '-t', '1'])
process.exit(spawnSync('${ffmpeg}', args.split('\\0'), { stdio: 'inherit' }).status)
`

t.before(async () => {
  await mkdir(join(folder, 'frames'))
  const film = ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30', '-t', '1']
  const h264 = ['-c:v', 'libx264', '-pix_fmt', 'yuv420p']
  await run(ffmpeg, [...film, ...h264, 'camera.ts'], { cwd: folder })
  // So many bytes a second that the first part is full soon.
  const noise = ['-vf', 'scale=640x360,noise=alls=90:allf=t', '-preset', 'ultrafast', '-qp', '4']
  await run(ffmpeg, [...film, ...noise, ...h264, 'live.ts'], { cwd: folder })
  await run(ffmpeg, [...film, 'frames/%04d.png'], { cwd: folder })
  const names = ['north.mp4', 'south.mp4', 'east.mp4']
  await writeFile(join(folder, 'cameras.txt'), names.map(name => `camera.ts ${name}\n`).join(''))
  await writeFile(join(folder, 'studio-ca.pem'), SELF_SIGNED.cert)
  const commands = {
    ffmpeg: standIn,
    // The commands of a device come first.
    'frameio-upload': `#!/bin/sh
      case $1 in pair | unpair | devices) set -- "$@" $BASE ;; *) set -- $BASE "$@" ;; esac
      exec '${process.execPath}' '${CLI}' "$@"\n`,
    ssh: '#!/bin/sh\nshift\nexec "$@"\n',
    // What runs in the container, and its environment as it is.
    docker: '#!/bin/sh\nwhile [ "$1" != studio/camera ]; do shift; done\nshift\nexec "$@"\n',
  }
  await mkdir(join(folder, 'bin'))
  for (const [name, script] of Object.entries(commands)) {
    await writeFile(join(folder, 'bin', `${name}`), script)
    await chmod(join(folder, 'bin', name), 0o755)
  }
  // A package.json of its own: the ffmpeg above is a script of the older kind.
  await writeFile(join(folder, 'bin', 'package.json'), '{}')
})

/** The environment of a recipe that uploads to this sandbox. */
const environmentOf = (sandbox: Sandbox, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`,
  FRAMEIO_TOKEN: sandbox.token,
  BASE: `--base-url ${sandbox.url}`,
  FOLDER: sandbox.parentId,
  FRAGMENTS,
  ...more,
})

const sh = (script: string, env: NodeJS.ProcessEnv) =>
  run('sh', ['-c', script], { cwd: folder, env, timeout: 60_000 })

/** The assets that were created and are uploaded, each once. */
const uploadedTo = async (sandbox: Sandbox): Promise<SandboxAsset[]> => {
  const ids = sandbox.requests
    .filter(({ operation }) => operation === 'register')
    .map(({ assetId = '' }) => assetId)
  const assets = [...new Set(ids)].map(id => sandbox.asset(id)).filter(asset => !!asset)
  for (const asset of assets) await asset.whenUploaded()
  return assets
}

/** Of a recipe that ends by itself, and has made one asset. */
const uploadedOnce = async (t: Test, sandbox: Sandbox): Promise<SandboxAsset | undefined> => {
  const [asset, ...others] = await uploadedTo(sandbox)
  t.strictSame(others, [])
  t.equal(await decode(asset?.path ?? ''), '')
  return asset
}

/** Waits until a part of a take that never ends is stored. */
const isFilming = (sandbox: Sandbox) =>
  until(() =>
    sandbox.requests.some(({ operation, status }) => operation === 'put' && status === 200),
  )

const MiB = 2 ** 20

/** Bytes of a file; none where there is no such file yet. */
const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0

const jsonIn = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'))

/** Why a program's part of a recipe cannot be tried here; false where it can. */
const without = (...[command = '', ...args]: string[]) =>
  spawnSync(command, args).error ? `there is no ${command}` : false

const skipped: Record<string, string | false> = {
  'A take that outlives its terminal': without('tmux', '-V'),
  'Without any terminal': without('setsid', 'true'),
}

/** How each recipe is tried, with its blocks of code. */
const trials: Record<string, (t: Test, ...code: string[]) => Promise<void>> = {}

for (const title of [
  'A screen',
  'A camera on the network',
  'A render to ProRes',
  'With a password: sudo and ssh',
]) {
  trials[title] = async (t, script = '') => {
    const sandbox = await sandboxFor(t)
    await sh(script, environmentOf(sandbox))
    await uploadedOnce(t, sandbox)
  }
}

trials['A Camera to Cloud device'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t, { pairing: { interval: 0.1 } })
  const person = setInterval(() => {
    for (const code of sandbox.devices.waiting) sandbox.devices.enter(code, { name: 'Cam A' })
  }, 20)
  t.teardown(() => clearInterval(person))
  const { clientSecret: FRAMEIO_CLIENT_SECRET } = sandbox.credentials
  const own = { FRAMEIO_TOKEN: undefined, FRAMEIO_CLIENT_SECRET }
  const { stdout } = await sh(script, environmentOf(sandbox, own))
  t.match(
    stdout,
    /^(device Cam A, project Sandbox project {2}online {2}.*\n){2}\S+ {2}.*\nunpaired: /,
  )
  await uploadedOnce(t, sandbox)
  t.strictSame(Object.keys(jsonIn('cam-a.json')), ['clientId'])
}

trials['A sound recorder'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  await sh(script, environmentOf(sandbox))
  const asset = await uploadedOnce(t, sandbox)
  const wav = await readFile(asset?.path ?? '')
  t.equal(wav.readUInt32LE(4), wav.length - 8)
  const data = wav.indexOf('data')
  t.equal(wav.readUInt32LE(data + 4) / wav.readUInt32LE(wav.indexOf('fmt ') + 16), 1, 'a second')
}

/** Writes a film to a file as a recorder does, until it is told to stop. */
const filmInto = (t: Test, file: string) => {
  const film = ['-v', 'error', '-nostdin', '-re', '-stream_loop', '-1', '-i', 'live.ts']
  const recorder = spawn(ffmpeg, [...film, '-c', 'copy', file], { cwd: folder, stdio: 'inherit' })
  t.teardown(() => recorder.kill('SIGKILL')) // Should it not have ended.
  return recorder
}

/** Of a recipe that follows a file: the one asset that it made is that file, and plays. */
const isFollowed = async (t: Test, sandbox: Sandbox, file: string) => {
  const asset = await uploadedOnce(t, sandbox)
  t.ok((await readFile(asset?.path ?? '')).equals(await readFile(file)), file)
}

trials.OBS = async (t, ...scripts) => {
  await mkdir(join(folder, 'Videos'))
  t.equal(scripts.length, 2)
  const recordWith = async (script: string) => {
    const [, extension = ''] = /\*(\.\w+)/.exec(script) ?? []
    const sandbox = await sandboxFor(t)
    const file = join(folder, 'Videos', `2026-11-29 10-11-12${extension}`)
    const recorder = filmInto(t, file)
    await until(() => existsSync(file), 'the file')
    const uploading = sh(script, environmentOf(sandbox, { HOME: folder }))
    await isFilming(sandbox)
    recorder.kill('SIGINT')
    await uploading
    await isFollowed(t, sandbox, file)
  }
  await Promise.all(scripts.map(recordWith))
}

trials['A recorder on a network share'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  // This recorder is seen while it writes, unless the machine is too busy for that.
  const here = script.replace('/mnt/nas', folder).replace('--idle 3m', '--idle 15s')
  const uploading = sh(here, environmentOf(sandbox))
  await until(() => sandbox.requests.length > 0, 'the command')
  const file = join(folder, 'boom.wav')
  const sound = ['-re', '-f', 'lavfi', '-i', 'sine', '-t', '2']
  await run(ffmpeg, ['-v', 'error', '-nostdin', ...sound, file])
  await uploading
  await isFollowed(t, sandbox, file)
}

trials['An export of an editor'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  const melt = join(folder, 'bin', 'melt')
  const render = '-v error -nostdin -re -stream_loop -1 -i live.ts -c copy export.mov'
  await writeFile(melt, `#!/bin/sh\necho $$ > render.pid\nexec '${ffmpeg}' ${render}\n`)
  await chmod(melt, 0o755)
  const uploading = sh(script, environmentOf(sandbox))
  await isFilming(sandbox)
  process.kill(Number(readFileSync(join(folder, 'render.pid'), 'utf8')), 'SIGTERM')
  await uploading
  await isFollowed(t, sandbox, join(folder, 'export.mov'))
}

trials['A folder on a network share'] = async (t, script = '', unit = '') => {
  const sandbox = await sandboxFor(t)
  const [share, spool] = [join(folder, 'share'), join(folder, 'spool-of-share')]
  const here = (text: string) =>
    text.replace('/mnt/nas/card', share).replace('/var/spool/frameio/card', spool)
  await mkdir(share)
  const then = Date.now() / 1_000 - 3_600
  for (const name of ['A001.mov', 'A001.wav', 'A001.xml']) {
    await writeFile(join(share, name), randomBytes(1_000))
    await utimes(join(share, name), then, then)
  }
  await sh(here(script), environmentOf(sandbox))
  await sh(here(script), environmentOf(sandbox))
  const names = async () => (await uploadedTo(sandbox)).map(({ name }) => name).sort()
  t.strictSame(await names(), ['A001.mov', 'A001.wav'], 'each once')

  const [, start = ''] = /^ExecStart=(.+)$/m.exec(unit.replace(/\\\n\s*/g, '')) ?? []
  const [command, ...args] = here(start)
    .replace(/\$\{FOLDER\}/, sandbox.parentId)
    .split(' ')
  t.equal(command, '/usr/bin/frameio-upload')
  const env = environmentOf(sandbox)
  const service = spawn(join(folder, 'bin/frameio-upload'), args, { cwd: folder, env })
  const said = text(service.stderr)
  const ended = once(service, 'close')
  await until(() => sandbox.requests.filter(({ operation }) => operation === 'put').length === 3)
  await uploadedTo(sandbox)
  t.match(unit, /^KillSignal=SIGQUIT$/m)
  t.match(unit, /^SuccessExitStatus=130$/m)
  service.kill('SIGQUIT')
  t.strictSame(await ended, [130, null], await said)
  t.strictSame(await names(), ['A001.mov', 'A001.wav', 'A001.xml'])
}

trials['With a copy on the local disk'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  await sh(script, environmentOf(sandbox))
  const asset = await uploadedOnce(t, sandbox)
  t.equal((await readFile(join(folder, 'A001.mp4'))).length, asset?.filesize)
}

trials['A camera, a copy, and a network that goes'] = async (t, take = '', again = '') => {
  const sandbox = await sandboxFor(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  const spool = join(folder, 'spool')
  const copy = join(folder, 'A002.mp4')
  // Of a memory so small the copy would soon stand still without a spool, and the camera ends at last.
  const here = take.replace('--spool', '--memory 10MiB --spool').replace('-c copy', '-t 3 -c copy')
  const env = environmentOf(sandbox, { LIVE: '1' })
  const taken = sh(here.replace('/media/ssd/spool', spool), env)
  await until(() => sizeOf(copy) > 16 * MiB, 'a copy that goes on without a network')
  const [id = ''] = await readdir(spool)
  process.kill(jsonIn(join('spool', id, 'lock')).pid, 'SIGKILL')
  t.match(await taken.catch(error => error), { code: 137 })
  sandbox.faults.clear()
  await sh(again.replace('/media/ssd/spool', spool), environmentOf(sandbox))
  const [asset] = await uploadedTo(sandbox)
  const [uploaded, copied] = [await readFile(asset?.path ?? ''), await readFile(copy)]
  t.ok(uploaded.length > 12 * MiB && copied.length > uploaded.length, `${uploaded.length} bytes`)
  t.ok(copied.subarray(0, uploaded.length).equals(uploaded))
  t.equal(await decode(copy), '', 'the copy went on to its end')
}

trials['From cron'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  await sh(script, environmentOf(sandbox))
  const asset = await uploadedOnce(t, sandbox)
  t.match(jsonIn('result.json'), { assetId: asset?.id, bytes: asset?.filesize })
}

trials['Many cameras, one after the other'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  await sh(script, environmentOf(sandbox))
  const names = (await uploadedTo(sandbox)).map(({ name }) => name)
  t.strictSame(names, ['north.mp4', 'south.mp4', 'east.mp4'])
}

trials['A log of the program'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  await sh(script, environmentOf(sandbox))
  await uploadedOnce(t, sandbox)
  t.match(await readFile(join(folder, 'A001.log'), 'utf8'), /Output #0, mp4/)
}

trials['A take that outlives its terminal'] = async (t, begin = '', end = '') => {
  const sandbox = await sandboxFor(t)
  // A server of its own.
  const env = environmentOf(sandbox, { LIVE: '1', TMUX: undefined, TMUX_TMPDIR: t.testdir() })
  t.teardown(() => spawnSync('tmux', ['kill-server'], { env }))
  await sh(begin, env)
  await isFilming(sandbox)
  await sh(end, env)
  t.equal((await uploadedTo(sandbox)).length, 1)
}

trials['Without any terminal'] = async (t, begin = '', end = '') => {
  const sandbox = await sandboxFor(t)
  const env = environmentOf(sandbox, { LIVE: '1' })
  t.teardown(() => spawnSync('sh', ['-c', end], { cwd: folder })) // Should it not have ended.
  await sh(begin, env)
  await isFilming(sandbox)
  await sh(end, env)
  const [asset] = await uploadedTo(sandbox)
  await until(() => readFileSync(join(folder, 'result.json'), 'utf8').endsWith('\n'))
  t.match(jsonIn('result.json'), { assetId: asset?.id, bytes: asset?.filesize })
}

trials['A service (systemd)'] = async (t, unit = '') => {
  const sandbox = await sandboxFor(t)
  const env = environmentOf(sandbox, { LIVE: '1' })
  const [, start = ''] = /^ExecStart=(.+)$/m.exec(unit.replace(/\\\n\s*/g, '')) ?? []
  const [command, ...args] = start.replace(/\$\{FOLDER\}/, sandbox.parentId).split(' ')
  t.equal(command, '/usr/bin/frameio-upload')
  const service = spawn(join(folder, 'bin/frameio-upload'), args, { cwd: folder, env })
  const said = text(service.stderr)
  const ended = once(service, 'close')
  await isFilming(sandbox)
  t.match(unit, /^KillMode=mixed$/m)
  service.kill('SIGTERM') // To it alone, which is what mixed means.
  t.strictSame(await ended, [0, null], await said)
  t.equal((await uploadedTo(sandbox)).length, 1)

  const skip = without('systemd-analyze', '--version')
  await t.test('systemd finds nothing wrong with it', { skip }, async t => {
    const file = join(t.testdir(), 'camera.service')
    await writeFile(file, unit.replace('/usr/bin/', `${join(folder, 'bin')}/`))
    const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
      encoding: 'utf8',
    })
    t.notMatch(stderr, 'camera.service')
  })
}

trials['A container'] = async (t, script = '') => {
  t.match(script, /^docker run --rm --init --stop-timeout \d+ /)
  const sandbox = await sandboxFor(t)
  await sh(script, environmentOf(sandbox))
  await uploadedOnce(t, sandbox)
  const skip = 'there is no image: what would run in it was run without'
  await t.test('docker itself', { skip }, () => {})
}

trials["A studio's network"] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  const { url, tunnels, env } = await studioFor(t, sandbox)
  const here = script
    .replace('http://proxy.studio.example:3128', url)
    .replace('/etc/ssl/certs/studio-ca.pem', join(folder, 'studio-ca.pem'))
  await sh(here, environmentOf(sandbox, env))
  await uploadedOnce(t, sandbox)
  t.ok(tunnels.length > 0)
}

trials['Without an account'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  await sh(script, environmentOf(sandbox, { BASE: '', FRAMEIO_TOKEN: undefined }))
  const [id = ''] = await readdir(join(folder, 'out'))
  const kept = await readFile(join(folder, 'out', id, 'A001.mp4'))
  t.ok(kept.equals(await readFile(join(folder, 'A001.mp4'))))
}

/** Of V4, with a home of its own, in which recordings lie. */
const v4EnvironmentOf = (t: Test, sandbox: Sandbox, more: NodeJS.ProcessEnv = {}) => {
  const { accountId: ACCOUNT, folderId: FOLDER } = sandbox.v4
  const HOME = t.testdir()
  const XDG_STATE_HOME = join(HOME, '.local', 'state')
  return environmentOf(sandbox, { ACCOUNT, FOLDER, HOME, XDG_STATE_HOME, ...more })
}

/** Names and bytes of the files that there are, each complete. */
const filesOf = async ({ v4 }: Sandbox): Promise<[string, Buffer][]> => {
  for (const file of v4.files) await file.whenUploaded()
  const found = v4.files.map(async ({ name, path = '' }): Promise<[string, Buffer]> => {
    return [name, await readFile(path)]
  })
  return (await Promise.all(found)).sort(([a], [b]) => (a < b ? -1 : 1))
}

trials['V4: What it needs'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  await sh(script.replace('…', sandbox.token), v4EnvironmentOf(t, sandbox))
  t.strictSame(
    (await filesOf(sandbox)).map(([name]) => name),
    ['A001_001.mp4'],
  )
  t.equal(await decode(sandbox.v4.files[0]?.path ?? ''), '')
}

trials['V4: What is promised'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  const env = v4EnvironmentOf(t, sandbox)
  const take = 'echo film | frameio-upload --v4 "$ACCOUNT/$FOLDER" --name A001.mp4 --no-check'
  const failure = await sh(take, { ...env, FRAMEIO_TOKEN: 'of-no-use' }).catch(error => error)
  t.match(failure, { code: 1 })
  const { stdout } = await sh(script, env)
  t.match(stdout, /^A001\.mp4 \(V4\) {2}.*0 of 1 file stored.*\nA001\.mp4 {2}5 bytes {2}http.*\n$/)
  t.strictSame(await filesOf(sandbox), [['A001.mp4', Buffer.from('film\n')]])
}

trials['V4: Files'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  const env = v4EnvironmentOf(t, sandbox)
  const recorder = join(env.HOME ?? '', 'recorder')
  await mkdir(recorder)
  const then = Date.now() / 1_000 - 3_600
  const wanted: [string, Buffer][] = []
  for (const name of ['A001.mov', 'A002.mov']) {
    const film = randomBytes(1_000)
    wanted.push([name, film])
    await writeFile(join(recorder, name), film)
    await utimes(join(recorder, name), then, then)
  }
  await sh(script.replace('/media/recorder', recorder), env)
  t.strictSame(await filesOf(sandbox), wanted)
}

trials['V4: Without an account'] = async (t, script = '') => {
  const sandbox = await sandboxFor(t)
  const env = v4EnvironmentOf(t, sandbox, { BASE: '', FRAMEIO_TOKEN: undefined })
  const here = script
    .replace('./out', join(env.HOME ?? '', 'out'))
    .replace('…', '-i rtsp://camera -c copy -f mp4 $FRAGMENTS')
  const { stdout } = await sh(here, env)
  const [, path = ''] = /^A001_001\.mp4 {2}\d+ bytes {2}(\S+)\n$/.exec(stdout) ?? []
  t.equal(await decode(path), '')
  t.equal(sandbox.requests.length, 0)
}

/** A proxy that leads to a sandbox, and looks into TLS on the way. */
const studioFor = async (t: Test, sandbox: Sandbox) => {
  const origin = 'https://captive.portal' // Of the certificate.
  let storage = ''
  const front = createTlsServer(SELF_SIGNED, (req, res) => {
    const { method, headers, url = '' } = req
    const to = new URL(url, url.startsWith('/parts/') ? storage : sandbox.url)
    const relay = request(to, { method, headers: { ...headers, host: to.host } }, async answer => {
      const body = (await text(answer)).replace(/http:\/\/[\d.:]+(?=\/parts\/)/g, from => {
        storage = from
        return origin
      })
      const { 'content-length': _, 'transfer-encoding': __, ...rest } = answer.headers
      res.writeHead(answer.statusCode ?? 0, rest).end(body)
    })
    req.pipe(relay)
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  const tunnels: unknown[] = []
  const proxy = createServer().on('connect', ({ url }, near: Socket) => {
    tunnels.push(url)
    const far = connect((front.address() as AddressInfo).port, '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {}) // Either may leave first.
    near.write('HTTP/1.1 200 OK\r\n\r\n')
    near.pipe(far).pipe(near)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    for (const server of [front, proxy]) server.close().closeAllConnections()
  })
  const none = {
    https_proxy: undefined,
    no_proxy: undefined,
    NODE_TLS_REJECT_UNAUTHORIZED: undefined,
  }
  const { port } = proxy.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    tunnels,
    env: { BASE: `--base-url ${origin}`, ...none },
  }
}

for (const [title, blocks] of recipes) {
  if (blocks.length === 0) continue
  const trial = trials[title]
  t.test(title, { skip: skipped[title] ?? false }, async t =>
    trial ? trial(t, ...blocks) : t.fail('nobody tries this one'),
  )
}
t.strictSame(
  Object.keys(trials).filter(title => !recipes.has(title)),
  [],
  'all recipes were found',
)
