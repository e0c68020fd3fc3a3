/**
 * `--v4` on the built command: a recording for an account without Camera to Cloud.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findFfmpeg } from '../examples/support/ffmpeg.ts'
import { shell } from './support/account.ts'
import { type CommandOptions, run, start } from './support/command.ts'
import { play } from './support/film.ts'
import { sha256, until } from './support/sandboxes.ts'
import { v4For } from './support/v4.ts'

const MiB = 2 ** 20
t.setTimeout(300_000)
t.jobs = 3

/** An account, and what the command needs to reach it; `spool` is where it keeps what it records. */
const accountFor = async (t: Test, sliceSize = MiB) => {
  const sandbox = await v4For(t, {
    v4: { sliceSize, rateLimit: { limit: 1_000, window: 1_000 } },
  })
  const { url, token, v4 } = sandbox
  const dir = t.testdir()
  const env = { FRAMEIO_TOKEN: token, XDG_STATE_HOME: join(dir, 'state') }
  const to = ['--base-url', url, '--v4', `${v4.accountId}/${v4.folderId}`, '--keep-free', '0']
  const again = ['--base-url', url, '--v4', v4.accountId]
  return { sandbox, dir, env, to, again, spool: join(dir, 'state', 'frameio-upload') }
}

type Account = Awaited<ReturnType<typeof accountFor>>

/** Every file below a folder, with its text. */
const textsIn = async (dir: string): Promise<Map<string, string>> => {
  const found = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = found
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
  const texts = files.map(async path => [path, await readFile(path, 'latin1')] as const)
  return new Map(await Promise.all(texts))
}

const SECRET = /sandbox-(?:token|legacy|secret)|X-Amz-Signature/

const viewUrl = ({ sandbox }: Account, name: string): string => {
  const file = sandbox.v4.files.find(file => file.name === name)
  return `https://next.frame.io/project/${sandbox.v4.accountId}/view/${file?.id}`
}

/** Writes so many MiB, all different, keeps them in `shot`, and goes on without a word. */
const camera = (mebibytes: number, dir: string) =>
  shell(`head -c ${mebibytes * MiB} /dev/urandom | tee ${dir}/shot; exec sleep 60`)

/** What can be cut, by the extension of its files. */
const FORMATS = {
  mp4: '-f mp4 -movflags frag_keyframe+empty_moov+default_base_moof',
  ts: '-f mpegts',
}

const filmInSegments = async (t: Test, extension: string, format: string) => {
  const account = await accountFor(t)
  const { sandbox, dir, env, to, spool } = account
  const [SECONDS, RATE] = [35, 30]
  const film = [
    `'${await findFfmpeg()}' -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=${RATE}`,
    `-t ${SECONDS} -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g ${RATE}`,
    `${format} pipe:1`,
  ]
  // The recording does not end before it is told to.
  const go = join(dir, 'go')
  const program = shell(`${film.join(' ')}; while ! [ -e '${go}' ]; do sleep 0.05; done`)
  const args = [...to, '--name', `A001.${extension}`, '--segment', '10s', ...program]
  const { said, ended } = start(args, { env })
  const first = `A001_001.${extension} is uploaded: `
  await until(() => said.stderr.includes(first), 'the first to be stored')
  // What S3 has is put together a moment after it has answered.
  await sandbox.v4.files[0]?.whenUploaded()
  t.equal(sandbox.v4.files[0]?.status, 'uploaded')
  await writeFile(go, '')
  const { code, stdout, stderr } = await ended
  t.equal(code, 0)
  const files = sandbox.v4.files.toSorted((one, other) => one.name.localeCompare(other.name))
  t.strictSame(
    files.map(({ name }) => name),
    [1, 2, 3, 4].map(n => `A001_00${n}.${extension}`),
  )
  const lines = files.map(
    ({ name, filesize }) => `${name}  ${filesize} bytes  ${viewUrl(account, name)}\n`,
  )
  t.equal(stdout, lines.join(''))
  await Promise.all(files.map(file => file.whenUploaded()))
  const played = await Promise.all(files.map(({ path = '' }) => play(path)))
  t.strictSame(
    played.map(({ complaint }) => complaint),
    ['', '', '', ''],
  )
  t.strictSame(
    played.map(({ frames }) => frames.length),
    [300, 300, 300, 150],
  )
  t.match(stderr, `records to ${spool}/A001-`)
  t.match(stderr, new RegExp(`A001_002\\.${extension} is recorded: [\\d.]+ .iB\\n`))
  t.match(stderr, /all 4 files are uploaded, [\d.]+ s after the end of the recording\n/)
  t.notMatch(stderr + stdout, SECRET)
  t.strictSame(await readdir(spool), [], 'nothing stays')
  t.equal((await stat(spool)).mode & 0o77, 0, 'nobody else reads what lies there')
}

for (const [extension, format] of Object.entries(FORMATS)) {
  t.test(`a film in segments of ${extension}: each plays, the first is stored before the end`, t =>
    filmInSegments(t, extension, format),
  )
}

t.test('of two limits the one is named that was met', async t => {
  const { env, to } = await accountFor(t)
  for (const limit of ['--max-size', '--spool-max']) {
    const args = [...to, '--name', 'a.mp4', limit, '1MiB']
    const { code, stderr } = await run(args, { env, input: randomBytes(3 * MiB) })
    t.equal(code, 1)
    t.match(stderr, `Raise ${limit}, or cut it with --segment.`)
  }
})

t.test('what comes through stdin is one file, with --wait put together', async t => {
  const account = await accountFor(t)
  const { sandbox, env, to } = account
  const input = randomBytes(3 * MiB)
  const args = [...to, '--name', 'a.mp4', '--wait', '--json', '--max-size', '3MiB']
  const { code, stdout, stderr } = await run(args, { env, input })
  t.equal(code, 0)
  const [file] = sandbox.v4.files
  t.equal(file?.status, 'uploaded')
  t.equal(file?.sha256, sha256(input))
  const url = viewUrl(account, 'a.mp4')
  t.match(JSON.parse(stdout), {
    files: [{ fileId: file?.id, name: 'a.mp4', bytes: 3 * MiB, parts: 3, viewUrl: url }],
    bytes: 3 * MiB,
    seconds: Number,
    secondsAfter: Number,
    source: { ok: true },
  })
  const events = stderr
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
    .filter(({ event }) => event !== 'progress')
  t.match(events, [
    { event: 'recording', folder: String },
    { event: 'piece', name: 'a.mp4', bytes: 3 * MiB },
    { event: 'file', name: 'a.mp4', viewUrl: url, number: 1 },
    { event: 'uploaded', files: 1, bytes: 3 * MiB },
  ])
})

t.test('a token or folder that is wrong is found before the program starts', async t => {
  const { sandbox, dir, env, to, spool } = await accountFor(t)
  const { accountId, legacyToken } = sandbox.v4
  const program = ['--name', 'a.mp4', '--', 'touch', join(dir, 'started')]
  const elsewhere = ['--base-url', sandbox.url, '--v4', `${accountId}/f-1`]
  // What may pass is no reason to begin while there is time for another try.
  sandbox.faults.add({ on: 'me', do: { reset: 'before' } })
  for (const [args, says, more] of [
    [to, /401.*\n.*FRAMEIO_TOKEN.* needs --legacy-token\.\n/, { FRAMEIO_TOKEN: 'no-such-token' }],
    [to, /401/, { FRAMEIO_TOKEN: legacyToken }],
    [elsewhere, /Listing folder f-1 failed.*404 \([^)]*\)\n {2}Check --v4 ACCOUNT\/FOLDER\.\n/, {}],
  ] as const) {
    const { code, stdout, stderr } = await run([...args, ...program], { env: { ...env, ...more } })
    t.match(stderr, says)
    t.notMatch(stderr, /no-such-token|sandbox-/)
    t.match({ code, stdout }, { code: 1, stdout: '' })
  }
  t.notOk(existsSync(join(dir, 'started')))
  t.notOk(existsSync(spool), 'no folder is made')
})

t.test('an outage is no reason not to film: what is recorded meanwhile goes up later', async t => {
  for (const [on, fault, why] of [
    ['api', { reset: 'before' }, /Asking whose token it is failed: /],
    ['api', { hang: 'answer' }, /Asking whose token it is failed: no answer within [\d.]+ s/],
    ['children', { status: 503 }, /Listing folder \S+ failed: Frame\.io answered 503/],
  ] as const) {
    const { sandbox, dir, env, to } = await accountFor(t)
    sandbox.faults.add({ on, times: Infinity, do: fault })
    const go = join(dir, 'go')
    const program = shell(`echo film; while ! [ -e '${go}' ]; do sleep 0.05; done`)
    const { ended, hears } = start([...to, '--name', 'a.mp4', ...program], { env })
    await hears(/; the take begins all the same, unchecked, and is uploaded once Frame\.io answers/)
    await hears(/records to /)
    sandbox.faults.clear()
    await writeFile(go, '')
    const { code, stderr } = await ended
    t.match(stderr, why)
    t.equal(stderr.match(/begins all the same/g)?.length, 1)
    t.equal(code, 0)
    await sandbox.v4.files[0]?.whenUploaded()
    t.equal(sandbox.v4.files[0]?.sha256, sha256(Buffer.from('film\n')))
    // After a 5xx V4 wants 30 s of rest: nothing is recorded meanwhile, so no other try is waited for.
    if (on === 'children') t.notMatch(stderr, 'it is tried for')
  }
})

t.test('unchecked, a token that is wrong costs nothing that was recorded', async t => {
  const { sandbox, env, to, again, spool } = await accountFor(t)
  const wrong = { ...env, FRAMEIO_TOKEN: 'no-such-token' }
  const input = randomBytes(5_000)
  const args = [...to, '--name', 'a.mp4', '--no-check']
  const { code, stderr } = await run(args, { env: wrong, input })
  t.equal(code, 1)
  t.match(stderr, `: frameio-upload --resume ${spool} --v4 ${sandbox.v4.accountId} --base-url `)
  t.equal((await run(['--resume', spool, ...again], { env })).code, 0)
  await sandbox.v4.files[0]?.whenUploaded()
  t.equal(sandbox.v4.files[0]?.sha256, sha256(input))
})

t.test('the line that finishes a take does so as it stands', async t => {
  const { sandbox, env, to, spool } = await accountFor(t)
  const { accountId, legacyToken } = sandbox.v4
  const args = [...to, '--name', 'a.mp4', '--no-check', '--legacy-token']
  const { stderr } = await run(args, { env, input: 'film' })
  const [, line = ''] = /: frameio-upload (--resume \S.*) goes on with it/.exec(stderr) ?? []
  t.equal(line, `--resume ${spool} --v4 ${accountId} --base-url ${sandbox.url} --legacy-token`)
  const legacy = { ...env, FRAMEIO_TOKEN: legacyToken }
  const next = await run([...args, '--json'], { env: legacy, input: 'next' })
  t.match(next.stderr, `This finishes them: frameio-upload ${line}"`)
  t.match(await run(line.split(' '), { env: legacy }), { code: 0, stdout: /^a\.mp4 {2}4 bytes/ })
})

t.test('a legacy token, and one that Adobe gives for a client', async t => {
  const { sandbox, dir, env, to } = await accountFor(t)
  const legacy = { ...env, FRAMEIO_TOKEN: sandbox.v4.legacyToken }
  const options = { env: legacy, input: 'some bytes' }
  t.match(await run([...to, '--name', 'a.mp4', '--legacy-token'], options), { code: 0 })

  const { clientId, clientSecret } = sandbox.credentials
  const server = {
    ...env,
    FRAMEIO_TOKEN: undefined,
    FRAMEIO_CLIENT_ID: clientId,
    FRAMEIO_CLIENT_SECRET: clientSecret,
    FRAMEIO_IMS_URL: sandbox.url,
  }
  const seen = join(dir, 'seen')
  const args = [...to, '--name', 'b.mp4', ...shell(`env > ${seen}; echo film`)]
  const { code, stdout, stderr } = await run(args, { env: server })
  t.equal(code, 0)
  t.equal(sandbox.v4.files[1]?.name, 'b.mp4')
  const text = stdout + stderr + (await readFile(seen, 'utf8'))
  t.notMatch(text, new RegExp(clientSecret))
  t.notMatch(text, SECRET)

  const refused = await run(args, { env: { ...server, FRAMEIO_CLIENT_SECRET: 'no-such-secret' } })
  t.equal(refused.code, 1)
  t.notMatch(refused.stderr, /no-such-secret/)
})

t.test('Ctrl-C ends the recording, and what is recorded is uploaded', async t => {
  const { sandbox, dir, env, to } = await accountFor(t)
  const args = [...to, '--name', 'a.mp4', ...camera(3, dir)]
  const { child, ended, hears } = start([...args.slice(0, -4), '--json', ...args.slice(-4)], {
    env,
  })
  await hears(/"bytesReceived":3145728/)
  child.kill('SIGINT')
  const { code, stderr, stdout } = await ended
  t.match(stderr, /SIGINT: the producer was told to end; what it wrote is being uploaded/)
  t.equal(code, 0, stdout)
  await sandbox.v4.files[0]?.whenUploaded()
  t.equal(sandbox.v4.files[0]?.sha256, sha256(await readFile(join(dir, 'shot'))))
})

t.test('a second Ctrl-C aborts: what is recorded stays, and the line finishes it', async t => {
  const { sandbox, dir, env, to, again, spool } = await accountFor(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const program = shell(`head -c ${3 * MiB} /dev/urandom | tee ${dir}/shot`)
  const { child, ended, hears } = start([...to, '--name', 'a.mp4', ...program], { env })
  await hears(/is recorded/)
  await until(() => sandbox.requests.some(({ operation }) => operation === 'put'))
  child.kill('SIGINT')
  await hears(/SIGINT: what came is being uploaded\. Once more aborts/)
  await new Promise(resolve => setTimeout(resolve, 600))
  child.kill('SIGINT')
  const { code, stderr, stdout } = await ended
  t.match({ code, stdout }, { code: 130, stdout: '' })
  const line = `frameio-upload --resume ${spool} --v4 ${sandbox.v4.accountId}`
  t.match(stderr, new RegExp(`aborted\\n  The recording is kept in ${spool}/\\S+: ${line} `))
  t.notMatch(stderr, SECRET)
  for (const [path, text] of await textsIn(spool)) {
    if (!path.endsWith('/urls')) t.notMatch(text, SECRET, path)
  }
  sandbox.faults.clear()
  const resumed = await run(['--resume', spool, ...again], { env })
  t.match(resumed, { code: 0, stdout: /^a\.mp4 {2}3145728 bytes {2}https:\S+\n$/ })
  t.equal(sandbox.v4.files.length, 1)
  await sandbox.v4.files[0]?.whenUploaded()
  t.equal(sandbox.v4.files[0]?.sha256, sha256(await readFile(join(dir, 'shot'))))
  t.strictSame(await readdir(spool), [])
})

t.test('a take whose command was killed is named, listed, and finished', async t => {
  const { sandbox, dir, env, to, again } = await accountFor(t)
  const spool = join(dir, 'media')
  const args = [...to, '--name', 'a.mp4', '--spool', spool, '--json', ...camera(3, dir)]
  const { child, ended, hears } = start(args, { env })
  await hears(/"bytesDurable":3145728/)
  child.kill('SIGKILL')
  await ended

  const listed = await run(['--resume', spool, '--list'])
  t.match(listed.stdout, /^a\.mp4 \(V4\) {2}3\.0 MiB here {2}0 of 1 file stored {2}\d+ s old\n$/)
  const asJson = await run(['--resume', spool, '--list', '--json'])
  t.match(JSON.parse(asJson.stdout), { name: 'a.mp4', bytes: 3 * MiB, files: 1, filesStored: 0 })
  const line = `frameio-upload --resume ${spool} --v4 `
  const withV2 = await run(['--resume', spool, ...again.slice(0, 2)], { env })
  const there = again.slice(0, 2).join(' ')
  t.match(withV2.stderr, `holds 1 for V4 as well: ${line}ACCOUNT ${there} finishes them`)
  const next = await run([...to, '--name', 'b.mp4', '--spool', spool], { env, input: 'next' })
  t.match(
    next.stderr,
    `holds takes that were cut off: a.mp4 (3.0 MiB). This finishes them: ${line}`,
  )
  const other = await run(['--resume', spool, ...again.slice(0, 2), '--v4', 'a-1'], { env })
  t.match(other.stderr, /a\.mp4: .*a-1\n {2}It stays here\. --v4 and --base-url must be those/)
  t.equal(other.code, 1)

  const resumed = await run(['--resume', spool, ...again], { env })
  t.match(resumed, { code: 0, stdout: /^a\.mp4 {2}3145728 bytes {2}https:\S+\n$/ })
  await sandbox.v4.files.at(-1)?.whenUploaded()
  t.equal(sandbox.v4.files.at(-1)?.sha256, sha256(await readFile(join(dir, 'shot'))))
  t.strictSame(await readdir(spool), [])
})

t.test('a program that fails is told of: what it wrote is uploaded, or is not', async t => {
  const { sandbox, env, to } = await accountFor(t)
  const program = shell('echo film; echo no light >&2; exit 7')
  const kept = await run([...to, '--name', 'a.mp4', ...program], { env })
  t.match(
    kept.stderr,
    /the producer failed \(exit code 7\); what it wrote is uploaded\n {2}no light/,
  )
  t.equal(kept.code, 3)
  t.equal(sandbox.v4.files.length, 1)
  const abort = ['--on-producer-failure', 'abort']
  const dropped = await run([...to, '--name', 'b.mp4', ...abort, ...program], { env })
  t.equal(dropped.code, 1)
  t.equal(sandbox.v4.files.length, 1)
})

t.test('a file is followed until it is over, and then uploaded', async t => {
  const { sandbox, dir, env, to, spool } = await accountFor(t)
  const file = join(dir, 'A001.mov')
  await writeFile(file, randomBytes(MiB))
  const { child, ended, hears } = start([...to.slice(0, 4), '--follow', file], { env })
  await hears(/A001\.mov is uploaded once it is over: V4 must know its size\n/)
  const more = Buffer.concat([await readFile(file), randomBytes(MiB)])
  await writeFile(file, more)
  child.kill('SIGINT')
  const { code, stderr, stdout } = await ended
  t.match(stderr, /A001\.mov counts as over now; what it holds is being uploaded/)
  t.match({ code, stdout }, { code: 0, stdout: /^A001\.mov {2}2097152 bytes {2}https:\S+\n$/ })
  await sandbox.v4.files[0]?.whenUploaded()
  t.equal(sandbox.v4.files[0]?.sha256, sha256(more))
  t.ok(existsSync(file), 'it stays')
  t.strictSame(await readdir(spool), [])
})

t.test('a file that is aborted stays, and what went up of it is not sent twice', async t => {
  const { sandbox, dir, env, to, again, spool } = await accountFor(t)
  sandbox.faults.add({ on: 'put', part: 3, times: Infinity, do: { hang: 'answer' } })
  const file = join(dir, 'A001.mov')
  await writeFile(file, randomBytes(3 * MiB))
  const { child, ended, hears, said } = start(
    [...to.slice(0, 4), '--follow', file, '--json', '--concurrency', '1'],
    { env },
  )
  await hears(/"following"/)
  child.kill('SIGINT')
  await until(() => /"bytesUploaded":2097152/.test(said.stderr), 'two parts to be stored')
  child.kill('SIGINT')
  const { code, stderr } = await ended
  t.equal(code, 130)
  t.match(stderr, `What went up is noted: frameio-upload --resume ${spool} --v4 `)
  const listed = await run(['--resume', spool, '--list'])
  t.match(listed.stdout, /^A001\.mov \(V4\) {2}3\.0 MiB here {2}0 of 1 file stored\n$/)
  sandbox.faults.clear()
  const before = sandbox.requests.length
  const resumed = await run(['--resume', spool, ...again], { env })
  t.match(resumed, { code: 0, stdout: /^A001\.mov {2}3145728 bytes {2}https:\S+\n$/ })
  const puts = sandbox.requests.slice(before).filter(({ operation }) => operation === 'put')
  t.equal(puts.length, 1)
  await sandbox.v4.files[0]?.whenUploaded()
  t.equal(sandbox.v4.files[0]?.sha256, sha256(await readFile(file)))
})

t.test('--keep-spool leaves the files where they were recorded', async t => {
  const { dir, env, to } = await accountFor(t)
  const spool = ['--spool', join(dir, 'media'), '--keep-spool']
  const { code, stdout } = await run([...to, '--name', 'a.mp4', ...spool, '--json'], {
    env,
    input: 'film',
  })
  t.equal(code, 0)
  const { kept } = JSON.parse(stdout)
  t.strictSame(await readdir(kept), ['a.mp4'])
  t.equal(await readFile(join(kept, 'a.mp4'), 'utf8'), 'film')
})

t.test('without an account: --sandbox', async t => {
  const dir = t.testdir()
  const args = ['--sandbox', join(dir, 'out'), '--v4', '--name', 'a.mp4']
  const { code, stdout } = await run(args, { input: 'film', env: { XDG_STATE_HOME: dir } })
  t.equal(code, 0)
  const [, path = ''] = /^a\.mp4 {2}4 bytes {2}(\S+)\n$/.exec(stdout) ?? []
  t.equal(await readFile(path, 'utf8'), 'film')
  t.strictSame(await readdir(dir), ['out'])
  t.equal((await readdir(join(dir, 'out'))).length, 1, 'what it was recorded in is gone')
})

t.test('arguments that make no sense end with 2, before anything starts', async t => {
  const dir = t.testdir()
  await mkdir(join(dir, 'folder'))
  const env = { FRAMEIO_TOKEN: 'token', XDG_STATE_HOME: join(dir, 'state') }
  const v4 = ['--v4', 'a-1/f-1']
  const named = [...v4, '--name', 'a.mp4']
  const rows: readonly (readonly [string[], RegExp, CommandOptions['env']?])[] = [
    [['--v4', '--name', 'a.mp4'], /--v4 must be ACCOUNT\/FOLDER, the ids .*; received ''/],
    [['--v4', 'a-1', '--name', 'a.mp4'], /--v4 must be ACCOUNT\/FOLDER.*; received 'a-1'/],
    [['--v4', 'a/b/c', '--name', 'a.mp4'], /--v4 must be ACCOUNT\/FOLDER.*; received 'a\/b\/c'/],
    [['--v4', '../x', '--name', 'a.mp4'], /--v4 must be ACCOUNT\/FOLDER.*: letters.*'\.\.\/x'/],
    [v4, /--v4 needs --name FILE/],
    [[...v4, '--name', 'a'.repeat(256)], /--name must be a name of 1 to 255 characters/],
    [[...named, '--asset', 'x'], /--asset has no meaning with --v4: .*real-time assets/],
    [[...named, '--parent', 'x'], /--parent has no meaning with --v4: .*says where to/],
    [[...named, '--extension', '.mp4'], /--extension has no meaning with --v4: .*--name FILE/],
    [[...named, '--filetype', 'a/b'], /--filetype has no meaning with --v4: .*from the name/],
    [[...named, '--device', '1.0.0'], /--device has no meaning with --v4: V4 knows no devices/],
    [[...named, '--credentials', 'x'], /--credentials has no meaning with --v4: V4 knows no dev/],
    [[...named, '--part-size', '5MiB'], /--part-size has no meaning with --v4: V4 cuts each/],
    [[...named, '--expect', '5MiB'], /--expect has no meaning with --v4/],
    [[...named, '--memory', '5MiB'], /--memory has no meaning with --v4: the disk holds/],
    [[...named, '--spool-overflow'], /--spool-overflow has no meaning with --v4: the disk holds/],
    [[...named, '--finish-wav'], /--finish-wav has no meaning with --v4/],
    [[...named, '--verify', 'all'], /--verify has no meaning with --v4/],
    [[...named, '--once'], /--once has no meaning with --v4: .* one by one: --follow FILE/],
    [[...named, '--list'], /--list has no meaning with --v4/],
    [
      [...v4, '--follow', join(dir, 'folder')],
      /--follow with a folder has no meaning with --v4: .*--follow FILE/,
    ],
    [[...v4, '--follow', 'x', '--segment', '5m'], /--segment has no meaning with --follow/],
    [[...v4, '--follow', 'x', '--keep-spool'], /--keep-spool has no meaning with --follow/],
    [[...named, '--idle', '5s'], /--idle has no meaning without --follow FILE/],
    [[...named, '--segment', '10ms'], /--segment must be .*; received '?10ms/],
    [[...named, '--max-size', '5TiB'], /--max-size must be .*5000000000000/],
    [[...named, '--base-url', 'http://frame.io'], /--base-url must be an https URL/],
    [[...named, '--spool', '/dev/null'], /--spool must be a folder to write to/],
    [[...named, '--producer-log', 'x'], /--producer-log keeps what a program says/],
    [named, /There is no token: set FRAMEIO_TOKEN/, { FRAMEIO_TOKEN: undefined }],
    [['--sandbox', ...named], /--v4 has no ids with --sandbox; received 'a-1\/f-1'/],
    [
      ['--sandbox', '--v4', '--name', 'a.mp4', '--legacy-token'],
      /--legacy-token has no meaning with --sandbox/,
    ],
    [
      ['--asset', 'x', '--name', 'a.mp4', '--segment', '5m'],
      /--segment has no meaning without --v4: .*`segments` of the library/,
    ],
    [
      ['--asset', 'x', '--name', 'a.mp4', '--legacy-token'],
      /--legacy-token has no .* without --v4/,
    ],
    [
      ['--resume', dir, '--v4', 'a', '--base-url', 'http://frame.io'],
      /--base-url must be an https URL/,
    ],
    [['--resume', dir, '--v4'], /--resume needs --v4 ACCOUNT/],
    [
      ['--resume', dir, '--v4', 'a', '--spool', 'x'],
      /--spool has no meaning with --resume and --v4/,
    ],
    [['--resume', join(dir, 'none'), '--v4', 'a'], /--resume must be a folder that --spool was/],
    [[...named, '--', ''], /-- must be followed by a program/],
  ]
  for (const [args, says, more = {}] of rows) {
    const { code, stdout, stderr } = await run(args, { env: { ...env, ...more }, input: 'film' })
    t.match(stderr, says, args.join(' '))
    t.match({ code, stdout }, { code: 2, stdout: '' }, args.join(' '))
  }
  t.strictSame(await readdir(dir), ['folder'], 'nothing is made')
})
