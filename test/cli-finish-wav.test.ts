/**
 * `--finish-wav`, on the built command.
 */
import { execFileSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { decode, findFfmpeg } from '../examples/support/ffmpeg.ts'
import { accountFor, shell } from './support/account.ts'
import { run, start } from './support/command.ts'
import { sha256, until } from './support/sandboxes.ts'

t.setTimeout(300_000)
t.jobs = 2

const ffmpeg = await findFfmpeg()

/** Arguments for a sound of so many seconds, of 1.5 MB each. */
const sound = (seconds: number, ...more: readonly string[]) => [
  ...[
    '-nostdin',
    '-v',
    'error',
    '-f',
    'lavfi',
    '-i',
    `anoisesrc=d=${seconds}:r=192000:a=0.5:seed=1`,
  ],
  ...['-c:a', 'pcm_f32le', '-ac', '2', ...more, '-f', 'wav', 'pipe:1'],
]

/** What the head of a WAV says: its own size, and that of the sound. */
const sizesIn = (wav: Buffer) => {
  const data = wav.indexOf('data')
  return {
    file: wav.readUInt32LE(4) + 8,
    sound: [wav.readUInt32LE(data + 4), wav.length - data - 8],
  }
}

t.test('a WAV that is piped says how long it is', async t => {
  const { sandbox, env, base } = await accountFor(t)
  for (const seconds of [1, 9]) {
    const take = [...base, '--parent', sandbox.parentId, '--name', 'boom.wav', '--finish-wav']
    const { code, stdout, stderr } = await run([...take, '--', ffmpeg, ...sound(seconds)], { env })
    t.equal(code, 0, stderr)
    const asset = sandbox.asset(stdout.split(' ')[0] ?? '')
    await asset?.whenUploaded()
    const wav = await readFile(asset?.path ?? '')
    const {
      file,
      sound: [told, is],
    } = sizesIn(wav)
    t.equal(file, wav.length)
    t.equal(told, is)
    t.equal(await decode(asset?.path ?? ''), '')
    t.equal(asset?.parts.length, Math.ceil(wav.length / 5 / 2 ** 20))
  }
  t.equal(
    sandbox.requests.some(({ headLast }) => headLast),
    true,
    'of the longer one part 1 was last',
  )
})

t.test('a take into a spool whose command was killed is mended by --resume', async t => {
  const { sandbox, env, base } = await accountFor(t)
  const dir = t.testdir()
  const spool = ['--spool', join(dir, 'spool'), '--keep-free', '0', '--json', '--finish-wav']
  const to = [...base, '--parent', sandbox.parentId, '--name', 'boom.wav', ...spool]
  const shot = execFileSync(ffmpeg, sound(9), { maxBuffer: 2 ** 30 })
  await writeFile(join(dir, 'shot'), shot)
  const { child, said, ended } = start([...to, ...shell(`cat ${dir}/shot; exec sleep 60`)], { env })
  await until(() => said.stderr.includes(`"bytesDurable":${shot.length}`), 'all to be durable')
  child.kill('SIGKILL')
  await ended
  const resumed = await run(['--resume', join(dir, 'spool'), ...base], { env })
  t.equal(resumed.code, 0, resumed.stderr)
  const [id = ''] = resumed.stdout.split(' ')
  const asset = sandbox.asset(id)
  await asset?.whenUploaded()
  const wav = await readFile(asset?.path ?? '')
  t.equal(wav.length, shot.length)
  t.equal(sizesIn(wav).file, wav.length)
  const data = wav.indexOf('data') + 8
  t.equal(sha256(wav.subarray(data)), sha256(shot.subarray(data)))
  t.strictSame(await readdir(join(dir, 'spool')), [])
})

t.test('what is no WAV is told of while it comes', async t => {
  const { sandbox, env, base } = await accountFor(t)
  const to = [...base, '--parent', sandbox.parentId, '--name', 'boom.wav', '--finish-wav']
  const { code, stderr } = await run(to, { env, input: 'fLaC, as it comes' })
  t.match(stderr, /not mended, and goes up as it came: the stream does not begin as a WAV does/)
  t.equal(code, 0)
})

t.test('for another media type it is refused before anything starts', async t => {
  const to = ['--parent', 'p', '--finish-wav', '--name']
  const refused = await run([...to, 'boom.flac'])
  t.match(refused, {
    code: 2,
    stderr: /--finish-wav is for a WAV, and the media type is audio\/.*flac/,
  })
  const env = { FRAMEIO_TOKEN: 'none' }
  const type = ['--filetype', 'application/octet-stream', '--base-url', 'http://127.0.0.1:1']
  const passed = await run([...to, 'boom.bin', ...type, '--give-up-after', '1s'], { env })
  t.notMatch(passed.stderr, 'is for a WAV')
})
