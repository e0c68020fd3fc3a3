/**
 * What a producer says on its stderr: the built command, with programs that fail, and that warn for a
 * whole take.
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { findFfmpeg } from '../examples/support/ffmpeg.ts'
import { accountFor, shell } from './support/account.ts'
import { CLI, run, start } from './support/command.ts'
import { screenOf } from './support/screen.ts'
import { within } from './support/servers.ts'

/** A guard against hanging, and no more. */
t.setTimeout(300_000)
t.jobs = 4 // Each has programs of its own, and waits for them most of the time.

const ffmpeg = await findFfmpeg()
const film = ['-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25']
const encode = ['-t', '1', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p']

const eventsOf = (stderr: string) =>
  stderr
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))

t.test('a program that fails before its first byte', async t => {
  t.test('says why in its last lines', async t => {
    const { env, to } = await accountFor(t)
    const script = 'seq 20 >&2; echo no camera >&2; echo "giving up --" >&2; exit 1'
    const { code, stderr } = await run([...to, ...shell(script)], { env })
    t.equal(code, 1)
    const lines = [15, 16, 17, 18, 19, 20, 'no camera', 'giving up --'].map(line => `  ${line}\n`)
    const first = 'frameio-upload: The source failed: exit code 1 (giving up --)\n'
    t.equal(stderr.slice(0, stderr.indexOf('  Asset')), first + lines.join(''))
  })

  t.test('and one line is not said twice', async t => {
    const { env, to } = await accountFor(t)
    const { stderr } = await run([...to, ...shell('echo no camera >&2; exit 1')], { env })
    t.equal(stderr.match(/no camera/g)?.length, 1)
  })

  t.test('and where that is an MP4 for a pipe, what to do about it', async t => {
    const { env, to } = await accountFor(t)
    const args = [ffmpeg, ...film, ...encode, '-f', 'mp4', 'pipe:1']
    const { code, stdout, stderr } = await run([...to, '--json', '--', ...args], { env })
    t.equal(code, 1)
    const { message, stderr: said } = eventsOf(stderr).at(-1)
    t.match(message, /^The source failed: exit code \d+ \(.*muxer does not support non seekable/)
    t.match(message, /-movflags frag_keyframe\+empty_moov/)
    t.match(said, /muxer does not support non seekable output.*\n.+/)
    t.match(JSON.parse(stdout).error, { code: 'ERR_SOURCE_FAILED', stderr: said })
  })

  t.test('and so does one that ends well without a byte', async t => {
    const { env, to } = await accountFor(t)
    const script = 'echo no such device >&2; echo nothing to record >&2'
    const { code, stderr } = await run([...to, ...shell(script)], { env })
    t.equal(code, 1)
    t.match(stderr, /ended without a byte.*\n {2}no such device\n {2}nothing to record\n/)
  })
})

/** Waits for the file of this name, in the shell. */
const awaiting = (file: string) => `until [ -e '${file}' ]; do sleep 0.05; done`

t.test('--verbose passes on what a program says while it runs', async t => {
  t.test('line by line', async t => {
    const { sandbox, env, to } = await accountFor(t)
    const file = join(t.testdir(), 'go')
    const words = String.raw`printf 'frame=1\rframe=2\rframe=3\n\033[31mred\033[0m\033[A\n' >&2`
    const script = `echo x; ${words}; echo ${sandbox.token} >&2; echo go on >&2; ${awaiting(file)}; printf 'the end' >&2`
    const { ended, hears } = start([...to, '--verbose', ...shell(script)], { env })
    await hears(/sh: go on\n/)
    await writeFile(file, '')
    const { code, stderr } = await ended
    t.equal(code, 0)
    const lines = ['frame=3', 'red', '[redacted]', 'go on', 'the end']
    t.equal(stderr, lines.map(line => `frameio-upload: sh: ${line}\n`).join(''))
  })

  t.test('as events, with --json', async t => {
    const { env, to } = await accountFor(t)
    const script = 'echo x; echo one >&2; echo two >&2'
    const { stderr } = await run([...to, '--verbose', '--json', ...shell(script)], { env })
    t.match(
      eventsOf(stderr).filter(({ event }) => event === 'producer'),
      [{ message: 'sh: one' }, { message: 'sh: two' }],
    )
  })

  t.test('and without it not a word is said of a take that ends well', async t => {
    const { env, to } = await accountFor(t)
    const { stderr } = await run([...to, ...shell('echo x; echo one >&2')], { env })
    t.equal(stderr, '')
  })

  t.test('more than anyone can read is counted, and holds nobody', async t => {
    const { asset, env, to } = await accountFor(t)
    const folder = t.testdir()
    const log = join(folder, 'log')
    const lines = 200_000
    const script = `seq ${lines} >&2; seq 1 1000000; echo the end >&2`
    const args = [...to, '--verbose', '--producer-log', log, ...shell(script)]
    const { code, stderr } = await run(args, { env })
    t.equal(code, 0)
    await asset.whenUploaded()
    t.equal(asset.filesize, 6_888_896)
    const leftOut = [...stderr.matchAll(/sh: … (\d+) lines more/g)].map(([, count]) =>
      Number(count),
    )
    const shown = stderr.match(/^frameio-upload: sh: (\d+|the end)$/gm)?.length ?? 0
    t.equal(
      leftOut.reduce((sum, count) => sum + count, shown),
      lines + 1,
      'none is forgotten',
    )
    t.ok(shown < 20_000, `${shown} lines were shown`)
    const all = Array.from({ length: lines }, (_, index) => `${index + 1}\n`).join('')
    t.equal(await readFile(log, 'utf8'), `${all}the end\n`, 'and the log has all')
  })
})

const hasScript = spawnSync('script', ['--version']).status === 0
const noScript = !hasScript && 'there is no `script` from util-linux'
t.test('on a terminal its lines and ours do not tear each other', { skip: noScript }, async t => {
  const { env, to } = await accountFor(t)
  const warnings = 'for i in 1 2 3 4 5 6 7 8 9; do echo "warning $i" >&2; sleep 0.2; done'
  const args = [...to, '--verbose', ...shell(`echo x; ${warnings}; echo y`)]
  const quoted = [process.execPath, CLI, ...args].map(arg => `'${arg}'`).join(' ')
  const { stdout } = await promisify(execFile)('script', ['-qec', quoted, '/dev/null'], {
    env: { ...process.env, NO_COLOR: '1', TERM: 'xterm-256color', ...env },
  })
  t.match(stdout, /in 0\.0 KiB .*headroom/, 'our line was drawn')
  const rows = screenOf(stdout).filter(Boolean)
  const expected = Array.from(
    { length: 9 },
    (_, index) => `frameio-upload: sh: warning ${index + 1}`,
  )
  t.strictSame(rows.slice(0, -1), expected)
  t.match(rows.at(-1), /4 bytes {2}1 parts/)
})

t.test('--producer-log', async t => {
  t.test('keeps what a program says as it came, and adds to what is there', async t => {
    const { env, to } = await accountFor(t)
    const log = join(t.testdir({ log: 'the take before\n' }), 'log')
    const words = String.raw`printf 'frame=1\rframe=2\r\nhalf \303' >&2; sleep 0.1; printf '\244' >&2`
    const args = [...to, '--producer-log', log, ...shell(`echo x; ${words}`)]
    t.match(await run(args, { env }), { code: 0, stderr: '' })
    t.equal(await readFile(log, 'utf8'), 'the take before\nframe=1\rframe=2\r\nhalf ä')
  })

  t.test('of a program that fails, and of an upload that does', async t => {
    const log = join(t.testdir(), 'log')
    const one = await accountFor(t)
    const failing = shell('echo no camera >&2; exit 1')
    t.equal((await run([...one.to, '--producer-log', log, ...failing], { env: one.env })).code, 1)
    t.equal(await readFile(log, 'utf8'), 'no camera\n')
    const { sandbox, env, to } = await accountFor(t)
    sandbox.faults.add({ on: 'put', do: { status: 400 } })
    const script = `trap 'echo I was told to end >&2; exit 0' TERM; seq 1 1000000; sleep 60 & wait`
    t.equal((await run([...to, '--producer-log', log, ...shell(script)], { env })).code, 1)
    t.equal(await readFile(log, 'utf8'), 'no camera\nI was told to end\n')
  })

  t.test('that cannot be written is refused before anything starts', async t => {
    const { sandbox, env, to } = await accountFor(t)
    const folder = t.testdir()
    const ran = join(folder, 'ran')
    for (const file of [folder, join(folder, 'no/such/folder')]) {
      const args = [...to, '--producer-log', file, ...shell(`touch ${ran}; echo x`)]
      const { code, stderr } = await run(args, { env })
      t.equal(code, 2)
      t.match(stderr, /^frameio-upload: --producer-log cannot be written: E(ISDIR|NOENT)/)
    }
    t.equal(existsSync(ran), false)
    t.equal(sandbox.requests.length, 0)
  })

  t.test('without a program it has nothing to keep', async t => {
    const { env, to } = await accountFor(t)
    const { code, stderr } = await run([...to, '--producer-log', 'log'], { env, input: 'x' })
    t.equal(code, 2)
    t.match(stderr, /--producer-log keeps what a program says: give -- and the program/)
  })

  const noFull = !existsSync('/dev/full') && 'there is no /dev/full'
  t.test('on a disk that is full does not end the take', { skip: noFull }, async t => {
    const { asset, env, to } = await accountFor(t)
    const script = 'for i in 1 2 3 4 5; do echo "warning $i" >&2; sleep 0.1; done; echo some bytes'
    const args = [...to, '--producer-log', '/dev/full', ...shell(script)]
    const { code, stderr } = await run(args, { env })
    t.equal(code, 0)
    t.match(stderr, /^frameio-upload: the producer's log \/dev\/full cannot be .* ENOSPC.*\n$/)
    await asset.whenUploaded()
    t.equal(asset.filesize, 11)
  })

  t.test('that is a pipe does not hold the command, whoever reads it', async t => {
    const { asset, env, to } = await accountFor(t)
    const pipe = join(t.testdir(), 'pipe')
    await promisify(execFile)('mkfifo', [pipe])
    const reading = `exec < '${pipe}'; read -r line; echo "$line"; exec sleep 120`
    const reader = spawn('sh', ['-c', reading], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => reader.kill())
    const heard = once(reader.stdout, 'data')
    const words = 'echo first >&2; head -c 1000000 /dev/zero >&2; echo some bytes'
    const args = [...to, '--producer-log', pipe, ...shell(words)]
    const { code, stderr } = await within(60_000, run(args, { env }))
    t.equal(code, 0)
    t.match(stderr, /^frameio-upload: the producer's log .*pipe took too long: .* missing; .*\n/)
    t.equal(String(await heard), 'first\n')
    await asset.whenUploaded()
    t.equal(asset.filesize, 11)
  })
})
