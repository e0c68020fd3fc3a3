/**
 * `--follow`, on the built command: files that other programs write.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, open, readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { decode, findFfmpeg } from '../examples/support/ffmpeg.ts'
import type { Sandbox, SandboxAsset } from '../lib/sandbox/index.ts'
import { accountFor, callsOf } from './support/account.ts'
import { CLI, run, type Started, start } from './support/command.ts'
import { bytes, sha256, until } from './support/sandboxes.ts'
import { lineOf, noTerminal, openTerminal } from './support/terminal.ts'

const MiB = 2 ** 20
t.setTimeout(600_000)
t.jobs = 3
const ffmpeg = await findFfmpeg()

/** An account, a file that is about to be written, and what follows it into that account. */
const setUp = async (t: Test, name = 'A001.mov') => {
  const { sandbox, asset, env, base } = await accountFor(t)
  const dir = t.testdir()
  const file = join(dir, name)
  const toNew = [...base, '--parent', sandbox.parentId]
  const follow = (...args: string[]) => start([...toNew, '--follow', file, ...args], { env })
  return { sandbox, asset, env, base, toNew, dir, file, follow }
}

/** Waits until so many bytes of the file were seen. */
const hasSeen = ({ said }: Started, size: number) =>
  until(() => said.stderr.includes(`"bytesReceived":${size}`), `${size} bytes to be seen`)

/** The asset that the command has made. */
const madeIn = async (sandbox: Sandbox): Promise<SandboxAsset> => {
  const isMade = ({ assetId }: { assetId?: string | undefined }) =>
    assetId !== undefined && sandbox.asset(assetId)?.name !== 'a.mp4'
  await until(() => sandbox.requests.some(isMade), 'an asset')
  return sandbox.asset(sandbox.requests.find(isMade)?.assetId ?? '') as SandboxAsset
}

/** Is a part stored? */
const isStored = (sandbox: Sandbox, part: number): boolean =>
  sandbox.requests.some(
    ({ operation, status, partNumbers }) =>
      operation === 'put' && status === 200 && partNumbers.includes(part),
  )

/** Waits until part 2 is stored; the first is not sent before the end. */
const isUnderWay = (sandbox: Sandbox) => until(() => isStored(sandbox, 2), 'a part to be stored')

/** A program that writes bytes to a file, changes its head, and waits for its stdin to end. */
const WRITER = `
  const { openSync, writeSync } = require('node:fs')
  const file = openSync(process.argv[1], 'w')
  let at = 0
  const all = require('node:crypto').randomBytes(${24 * MiB})
  all[all.length - 1] = 1 // Of a file that grows a zero at the end does not count.
  const timer = setInterval(() => {
    at += writeSync(file, all, at, ${MiB}, at)
    if (at === all.length) clearInterval(timer)
  }, 20)
  process.stdin.resume().on('end', () => writeSync(file, 'head', 0))`

t.test('what another program writes goes up meanwhile, until that program is gone', async t => {
  const { sandbox, file, follow } = await setUp(t)
  const writer = spawn(process.execPath, ['-e', WRITER, file], { stdio: ['pipe', 'ignore', 2] })
  const following = follow('--until-pid', String(writer.pid), '--json')
  const asset = await madeIn(sandbox)
  await isUnderWay(sandbox)
  t.match(asset, { name: 'A001.mov', filetype: 'video/quicktime' }, 'as the file is called')
  await hasSeen(following, 24 * MiB)
  t.notOk(isStored(sandbox, 1), 'the head waits')
  writer.stdin?.end()
  const { code, stdout, stderr } = await following.ended
  t.match(stderr, `process ${writer.pid} is gone`)
  t.equal(code, 0, stderr)
  t.match(JSON.parse(stdout), { bytes: 24 * MiB, source: { ok: true, reason: 'told' } })
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(await readFile(file)))

  const lines = stderr.split('\n').filter(line => line.includes('"progress"'))
  for (const { bytesReceived, bytesUploaded, behind, headroom } of lines.map(line =>
    JSON.parse(line),
  )) {
    t.equal(behind, bytesReceived - bytesUploaded)
    t.equal(headroom, undefined)
  }
})

t.test('Ctrl-C means that it is over now', async t => {
  const { sandbox, file, follow } = await setUp(t)
  const all = bytes(2 * MiB)
  await writeFile(file, all)
  const following = follow('--json')
  await hasSeen(following, all.length)
  following.child.kill('SIGINT')
  await following.hears(/SIGINT: .*A001\.mov counts as over now; .*Once more aborts/)
  await until(() => callsOf(sandbox, 'register') > 0, 'a registration')
  await appendFile(file, 'what comes behind')
  const { code, stdout } = await following.ended
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { bytes: all.length, parts: 1, source: { reason: 'told' } })
  const asset = await madeIn(sandbox)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(all))
})

t.test('Ctrl-C twice aborts', async t => {
  const { sandbox, file, follow } = await setUp(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  await writeFile(file, bytes(2 * MiB))
  const following = follow('--json')
  await hasSeen(following, 2 * MiB)
  following.child.kill('SIGTERM')
  await following.hears(/Once more aborts/)
  await until(() => callsOf(sandbox, 'register') > 0, 'a registration')
  await new Promise(resolve => setTimeout(resolve, 600)) // Else both would count as one.
  following.child.kill('SIGINT')
  t.match(await following.ended, { code: 130, stderr: /"aborted\\n {2}Asset \S+ stays unfinished/ })
})

t.test('a file that nobody writes is over once it has not changed for --idle', async t => {
  const { sandbox, file, follow } = await setUp(t, 'boom.flac')
  await writeFile(file, bytes(1_000))
  const { code, stdout } = await follow('--json', '--idle', '1s').ended
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { bytes: 1_000, source: { reason: 'idle' } })
  t.match(await madeIn(sandbox), { name: 'boom.flac', filetype: /^audio\/(?:x-)?flac$/ })
})

t.test('a real recorder: over when it closes its file, and right from its head on', async t => {
  const { sandbox, file, follow } = await setUp(t, 'boom.wav')
  const sound = ['-re', '-f', 'lavfi', '-i', 'sine=sample_rate=48000', '-t', '2']
  const following = follow('--json')
  await following.hears(/is waited for/) // So that the recorder is seen.
  await promisify(execFile)(ffmpeg, ['-v', 'error', '-nostdin', ...sound, file])
  const { code, stdout, stderr } = await following.ended
  t.equal(code, 0, stderr)
  const { source } = JSON.parse(stdout)
  t.match(source, { ok: true, reason: process.platform === 'linux' ? 'closed' : 'idle' })
  const asset = await madeIn(sandbox)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(await readFile(file)))
  t.equal(await decode(asset.path ?? ''), '')
})

t.test('a recorder that writes MOV, into a sandbox of the command', async t => {
  const dir = t.testdir()
  const file = join(dir, 'clip.mov')
  const film = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-t', '2']
  const codec = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p']
  const recorder = spawn(ffmpeg, ['-v', 'error', '-nostdin', ...film, ...codec, file])
  const pid = ['--until-pid', String(recorder.pid)]
  const { code, stdout, stderr } = await run([
    ...['--follow', file, '--sandbox', join(dir, 'out')],
    ...pid,
  ])
  t.equal(code, 0, stderr)
  const kept = stdout.trim().split('  ').at(-1) ?? ''
  t.match(kept, /clip\.mov$/)
  t.strictSame(await readFile(kept), await readFile(file))
  t.equal(await decode(kept), '')
})

t.test('a file that its writer did not finish is uploaded, and told of: 3', async t => {
  const { sandbox, file, follow } = await setUp(t, 'boom.wav')
  const head = Buffer.from('RIFF\xff\xff\xff\xffWAVEfmt ', 'latin1')
  await writeFile(file, Buffer.concat([head, bytes(9_000)]))
  const following = follow('--json')
  await hasSeen(following, head.length + 9_000)
  following.child.kill('SIGINT')
  const { code, stdout, stderr } = await following.ended
  t.match(stderr, /"code":"SOURCE_UNFINISHED"/)
  t.match(stderr, /boom\.wav was not finished: .*let the recorder stop first/)
  t.match(JSON.parse(stdout), { source: { ok: false, reason: 'told' } })
  t.equal(code, 3)
  const asset = await madeIn(sandbox)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(await readFile(file)))
  t.match(await follow('--idle', '1s', '--quiet').ended, { code: 3, stderr: /a longer --idle/ })
})

t.test('a resume of a file that its writer did not finish says so as well: 3', async t => {
  const { env, base, dir, file, follow } = await setUp(t, 'boom.wav')
  const spool = join(dir, 'spool')
  const head = Buffer.from('RIFF\xff\xff\xff\xffWAVEfmt ', 'latin1')
  await writeFile(file, Buffer.concat([head, bytes(9_000)]))
  const first = follow('--json', '--spool', spool)
  await hasSeen(first, head.length + 9_000)
  first.child.kill('SIGQUIT')
  t.equal((await first.ended).code, 130)
  t.match((await run(['--resume', spool, '--list'], { env })).stdout, / old {2}\S+boom\.wav\n$/)
  const resumed = await run(['--resume', spool, '--idle', '1s', '--json', ...base], { env })
  t.match(JSON.parse(resumed.stdout), { bytes: head.length + 9_000, isUnfinished: true })
  t.match(resumed.stderr, /"code":"SOURCE_UNFINISHED"/)
  t.equal(resumed.code, 3)
})

t.test('a file that is not there yet is waited for', async t => {
  const { file, follow } = await setUp(t)
  const late = follow('--json')
  await late.hears(/A001\.mov is not there yet: it is waited for, 60 s at most/)
  await writeFile(file, bytes(1_234))
  await hasSeen(late, 1_234)
  late.child.kill('SIGINT')
  t.match(await late.ended, { code: 0, stdout: /"bytes":1234,/ })
})

t.test('of one that never appears no asset is left', async t => {
  const { sandbox, follow } = await setUp(t)
  const { child, ended, hears } = follow()
  await hears(/is waited for/)
  child.kill('SIGINT')
  const { code, stderr } = await ended
  t.match(stderr, /A001\.mov is not there, and is not waited for any longer/)
  t.match(stderr, /A001\.mov never appeared, though it was waited for: is that the path/)
  t.match(stderr, /was created for it, was deleted/)
  t.equal(code, 1)
  t.equal(callsOf(sandbox, 'delete'), 1)
})

t.test('what was changed after it went up is said, and sent again', async t => {
  for (const [verify, puts] of [
    ['auto', 2],
    ['none', 1],
  ] as const) {
    const { sandbox, file, follow } = await setUp(t)
    const all = bytes(24 * MiB)
    await writeFile(file, all)
    const following = follow('--json', '--verify', verify)
    const asset = await madeIn(sandbox)
    await isUnderWay(sandbox)
    const writer = await open(file, 'r+')
    await writer.write(Buffer.from('changed'), 0, 7, 6 * MiB)
    await writer.close()
    following.child.kill('SIGINT')
    const { code, stderr } = await following.ended
    t.equal(code, 0, stderr)
    const text = /part 2 has other bytes in the file than were sent, and will be sent again/
    t.equal(text.test(stderr), puts === 2, verify)
    t.equal(/"code":"SOURCE_REWRITTEN"/.test(stderr), puts === 2, 'a fifth of it is much')
    t.equal(asset.parts[1]?.puts, puts)
    await asset.whenUploaded()
    t.equal(asset.sha256 === sha256(await readFile(file)), puts === 2)
  }
})

t.test('another file of its name is told of, and one that was cut is an error', async t => {
  const { sandbox, file, follow } = await setUp(t)
  await writeFile(file, bytes(24 * MiB))
  const following = follow()
  await isUnderWay(sandbox)
  await rename(file, `${file}.old`)
  await writeFile(file, 'another')
  await following.hears(/A001\.mov is another file now/)
  await truncate(`${file}.old`, 7 * MiB)
  const { code, stderr } = await following.ended
  t.match(stderr, /was cut to 7340032 bytes, .*\n {2}Once its writer is done, upload the file anew/)
  t.match(stderr, /Asset \S+ stays unfinished/)
  t.equal(code, 1)
})

t.test('with --spool the journal alone is kept', async t => {
  const { sandbox, env, base, dir, file, follow } = await setUp(t)
  const spool = join(dir, 'spool')
  await writeFile(file, bytes(24 * MiB))
  const first = follow('--json', '--spool', spool)
  await isUnderWay(sandbox)
  const [id = ''] = await readdir(spool)
  t.strictSame((await readdir(join(spool, id))).sort(), ['journal', 'lock', 'reserve'])
  first.child.kill('SIGINT')
  t.equal((await first.ended).code, 0)
  t.strictSame(await readdir(spool), [])

  const second = follow('--json', '--spool', spool)
  await hasSeen(second, 24 * MiB)
  second.child.kill('SIGQUIT')
  const { code, stderr } = await second.ended
  t.match(stderr, new RegExp(`What went up is noted in ${spool}: frameio-upload --resume ${spool}`))
  t.match(stderr, /goes on with it, as long as \S+A001\.mov is there/)
  t.equal(code, 130)
  t.equal(callsOf(sandbox, 'delete'), 0, 'its asset is still of use')

  const resumed = await run(['--resume', spool, '--idle', '1s', ...base], { env })
  t.match(resumed, { code: 0, stdout: new RegExp(`${24 * MiB} bytes`) })
  t.strictSame(await readdir(spool), [])
})

t.test('of a file that failed for good the spool promises nothing', async t => {
  const { sandbox, dir, file, follow } = await setUp(t)
  await writeFile(file, bytes(24 * MiB))
  const { ended } = follow('--spool', join(dir, 'spool'))
  await isUnderWay(sandbox)
  await truncate(file, 7 * MiB)
  const { code, stderr } = await ended
  t.match(stderr, /was cut to 7340032 bytes/)
  t.notMatch(stderr, /--resume/)
  t.equal(code, 1)
})

t.test('every target, and a name that was given', async t => {
  const { sandbox, asset, base, env, toNew, file } = await setUp(t)
  await writeFile(file, bytes(1_000))
  const one = async (...args: string[]) => {
    const idle = ['--follow', file, '--idle', '1s', '--json']
    const { code, stdout, stderr } = await run([...args, ...idle], { env })
    t.equal(code, 0, stderr)
    const made = sandbox.asset(JSON.parse(stdout).assetId)
    await made?.whenUploaded()
    return made
  }
  await one(...base, '--asset', asset.id, '--filetype', 'video/mp4')
  t.match(asset, { status: 'uploaded', name: 'a.mp4' }, 'which is not named anew')
  const device = await one(...base, '--device', '1.0.0')
  t.match(device, { name: 'A001.mov', filetype: 'video/quicktime' })
  t.match(await one(...toNew, '--name', 'B.mp4'), { name: 'B.mp4', filetype: 'video/mp4' })
})

t.test('the token may come through stdin, which is not read for the file', async t => {
  const { sandbox, toNew, file } = await setUp(t)
  await writeFile(file, bytes(1_000))
  const args = [...toNew, '--follow', file, '--idle', '1s', '--token-file', '/dev/stdin']
  t.match(await run(args, { input: sandbox.token }), { code: 0, stdout: /1000 bytes/ })
})

t.test('the line that is drawn says how far behind it is', { skip: noTerminal }, async t => {
  const { env, toNew, file } = await setUp(t)
  await writeFile(file, bytes(2 * MiB))
  const { press, shows, ended, shown } = openTerminal(lineOf([...toNew, '--follow', file]), { env })
  await shows(/in 2\.0 MiB \(.*?\/s\), up 0\.0 KiB \(.*?\/s\), behind 2\.0 MiB/)
  t.notMatch(shown(), /headroom|buffered/)
  press('\x03')
  await ended
  t.match(shown(), /2097152 bytes {2}1 parts/)
})

const noZombies = process.platform !== 'linux' && 'Linux alone tells of zombies'
t.test(
  'a process that ended, and that nobody waited for, is gone',
  { skip: noZombies },
  async t => {
    const dir = t.testdir({ 'a.mov': 'footage' })
    const args = ['--sandbox', join(dir, 'out'), '--follow', join(dir, 'a.mov')]
    // The shell becomes the command, which is then the parent of a child it knows nothing of.
    const recorder = 'while [ ! -e "$0" ]; do sleep 0.1; done & exec "$@" --json --until-pid $!'
    const go = join(dir, 'go')
    const child = spawn('sh', ['-c', recorder, go, process.execPath, CLI, ...args])
    let said = ''
    child.stderr.on('data', text => {
      said += text
    })
    const ended = once(child, 'exit')
    await until(() => said.includes('"bytesReceived":7'), 'the file to be seen')
    await writeFile(go, '')
    const [code] = await ended
    t.match(said, /process \d+ is gone/)
    t.equal(code, 0)
  },
)

t.test('what makes no sense is refused, before anything is made', async t => {
  const dir = t.testdir({ 'a.mov': 'x', folder: {} })
  const file = ['--follow', join(dir, 'a.mov')]
  const local = ['--sandbox', join(dir, 'out')]
  const here = [...local, ...file]
  const gone = spawn('true')
  await once(gone, 'exit')
  const rows: [string[], string][] = [
    [[...here, '--', 'ffmpeg'], 'so no program stands behind --; received ffmpeg'],
    [file, '--follow needs --asset ID, --parent ID, --device VERSION or --sandbox'],
    [
      [...local, '--follow', dir],
      '--follow with a folder needs --spool DIR, where it is remembered which files were uploaded',
    ],
    [[...local, '--follow', '/dev/null'], 'received /dev/null, which is none'],
    [[...local, '--follow', join(dir, 'a.mov/b.mov')], 'ENOTDIR'],
    [[...local, '--follow', ''], '--follow must not be empty'],
    [[...here, '--follow', 'b.mov'], 'a.mov and b.mov'],
    [[...here, '--spool', dir, '--keep-spool'], '--keep-spool has no meaning with --follow'],
    [
      [...local, '--follow', 'A001'],
      "--filetype TYPE is needed, such as video/mp4: 'A001' does not",
    ],
    [[...local, '--name', 'a.mov', '--idle', '9s'], '--idle has no meaning without --follow FILE'],
    [
      [...local, '--name', 'a.mov', '--until-pid', '1'],
      '--until-pid has no meaning without --follow',
    ],
    [[...local, '--name', 'a.mov', '--verify', 'all'], '--verify has no meaning without --follow'],
    [
      [...here, '--idle', '10'],
      "--idle must be a time from 1s to 1d, such as 90s or 2m; received '10'",
    ],
    [
      [...here, '--idle', '2d'],
      "--idle must be a time from 1s to 1d, such as 90s or 2m; received '2d'",
    ],
    [[...here, '--idle', 'never'], "received 'never'"],
    [[...here, '--verify', 'some'], "--verify must be auto or all or none; received 'some'"],
    [
      [...here, '--until-pid', '0'],
      "--until-pid must be an integer from 1 to 2147483647; received '0'",
    ],
    [
      [...here, '--until-pid', `${gone.pid}`],
      `--until-pid must be a process that runs; received ${gone.pid}`,
    ],
    [
      [...here, '--memory', '1G'],
      '--memory has no meaning with --follow: nothing is held in memory',
    ],
    [
      [...here, '--spool', dir, '--spool-overflow'],
      '--spool-overflow has no meaning with --follow: ',
    ],
    [
      [...here, '--spool', dir, '--spool-max', '1G'],
      '--spool-max has no meaning with --follow: the file',
    ],
    [
      [...here, '--spool', dir, '--keep-free', '1G'],
      '--keep-free has no meaning with --follow: the file',
    ],
    [[...here, '--producer-log', 'x'], '--producer-log has no meaning with --follow: there is no'],
    [
      [...here, '--on-producer-failure', 'abort'],
      '--on-producer-failure has no meaning with --follow',
    ],
    [['--resume', dir, ...file], '--follow has no meaning with --resume'],
  ]
  for (const [args, message] of rows) {
    const { code, stdout, stderr } = await run(args)
    t.match({ code, stdout }, { code: 2, stdout: '' }, args.join(' '))
    t.ok(stderr.includes(message), `${stderr} has ${message}`)
  }
  t.strictSame((await readdir(dir)).sort(), ['a.mov', 'folder'])
})
