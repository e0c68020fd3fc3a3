/**
 * Programs that open their own stdout and stderr by name: the built command.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { decode, findFfmpeg } from '../examples/support/ffmpeg.ts'
import { accountFor, shell } from './support/account.ts'
import { run } from './support/command.ts'
import { pathWithoutMkfifo } from './support/mkfifo.ts'
import { bytes, sha256 } from './support/sandboxes.ts'

const MiB = 2 ** 20
/** A guard against hanging, and no more. */
t.setTimeout(300_000)
t.jobs = 4 // Each has programs of its own, and waits for them most of the time.

const ffmpeg = await findFfmpeg()
const film = ['-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25']
const encode = ['-t', '1', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p']

t.test('ffmpeg … /dev/stdout', async t => {
  const { asset, env, to } = await accountFor(t)
  const movie = ['-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov', '-y', '/dev/stdout']
  const outcome = await run([...to, '--', ffmpeg, ...film, ...encode, ...movie], { env })
  t.match(outcome, { code: 0, stderr: '' })
  await asset.whenUploaded()
  t.equal(await decode(asset.path ?? ''), '')
})

t.test('dd of=/dev/stdout', async t => {
  const { asset, env, to } = await accountFor(t)
  const input = bytes(6 * MiB)
  const outcome = await run([...to, '--', 'dd', 'of=/dev/stdout', 'bs=32k'], { env, input })
  t.equal(outcome.code, 0, outcome.stderr)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(input))
})

t.test('a script that opens both again and again, while it holds them', async t => {
  const { asset, env, to } = await accountFor(t)
  const script = `echo 1; echo 2 > /dev/stdout; cat /dev/null > /dev/stdout; echo 3 >> /dev/fd/1
    echo why > /dev/stderr; echo 4; echo because >> /proc/self/fd/2; exit 7`
  const { code, stderr } = await run([...to, ...shell(script)], { env })
  t.equal(code, 3)
  t.match(stderr, /\(exit code 7\).*\n {2}why\n {2}because\n$/)
  await asset.whenUploaded()
  t.equal(await readFile(asset.path ?? '', 'utf8'), '1\n2\n3\n4\n')
})

t.test('the end comes once nobody holds it any more', async t => {
  const { asset, env, to } = await accountFor(t)
  const script = 'echo 1; (sleep 0.5; echo 2 > /dev/stdout; sleep 0.3; echo 3) & exit 0'
  t.equal((await run([...to, ...shell(script)], { env })).code, 0)
  await asset.whenUploaded()
  t.equal(await readFile(asset.path ?? '', 'utf8'), '1\n2\n3\n')
})

t.test('and has no other descriptor of ours', async t => {
  if (!existsSync('/proc/self/fd')) return t.pass('the system does not list them')
  const { asset, env, to } = await accountFor(t)
  await run([...to, '--', 'ls', '/proc/self/fd'], { env })
  await asset.whenUploaded()
  // With those that whoever started this test left open.
  const own = execFileSync('ls', ['/proc/self/fd'], { encoding: 'utf8' })
  t.equal(await readFile(asset.path ?? '', 'utf8'), own)
  return undefined
})

t.test('where there is no mkfifo all else goes on as ever', async t => {
  const { asset, env, to } = await accountFor(t)
  const more = { PATH: pathWithoutMkfifo(t) }
  const script = 'seq 1 1000000; echo why >&2; exit 7'
  const { code, stderr } = await run([...to, ...shell(script)], { env: { ...env, ...more } })
  t.equal(code, 3)
  t.match(stderr, /\n {2}why\n$/)
  await asset.whenUploaded()
  t.equal(asset.filesize, 6_888_896)
})
