/**
 * What the command finds out before the take: what it refuses, and what it says while it waits.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { accountFor, shell } from './support/account.ts'
import { CLI, run, start } from './support/command.ts'
import { closedPort, json } from './support/servers.ts'

t.setTimeout(300_000)
t.jobs = 4

t.test('an asset that cannot be filled is refused before the program starts', async t => {
  const filled = 'must be the id of an asset that is still to be filled; received'
  for (const [said, says] of [
    [{ upload_completed_at: '2026-01-02T03:04:05Z' }, `--asset ${filled} .*uploaded at 2026-01-02`],
    [{ upload_failed_at: '2026-01-02T03:04:05Z' }, `--asset ${filled} .*upload failed at 2026-01`],
    [{ is_realtime_upload: false }, '--asset must be the id of an asset .* real-time upload'],
    [{ type: 'folder' }, '--asset must be the id of an asset; .* folder: give it as --parent'],
    [{ filetype: 'audio/wav' }, "--filetype must be 'audio/wav', .*; received 'video/mp4'"],
  ] as const) {
    const { sandbox, asset, env, to } = await accountFor(t)
    const body = { id: asset.id, name: 'a.mp4', ...said }
    sandbox.faults.add({ on: 'get', do: { status: 200, body } })
    const took = join(t.testdir(), 'took')
    const { code, stderr } = await run([...to, ...shell(`touch ${took}; echo x`)], { env })
    t.match(stderr, new RegExp(says))
    t.equal(code, 2)
    t.notOk(existsSync(took), 'the take never began')
  }
})

t.test('an asset that was filled by a take before is refused', async t => {
  const { asset, env, to } = await accountFor(t)
  t.equal((await run([...to, '--wait'], { env, input: 'x' })).code, 0)
  const { code, stderr } = await run(to, { env, input: 'y' })
  t.match(stderr, /received [\w-]+, which was uploaded at \d{4}-/)
  t.equal(code, 2)
  t.equal(asset.filesize, 1)
})

t.test('a stdin that cannot be read is refused before anything is made', async t => {
  const { sandbox, env, to } = await accountFor(t)
  const written = join(t.testdir(), 'written')
  for (const [stdin, fault] of [
    [`< '${t.testdir()}'`, 'a folder'],
    [`0> '${written}'`, 'EBADF'],
  ]) {
    const command = [process.execPath, CLI, ...to].map(arg => `'${arg}'`).join(' ')
    const refused = promisify(execFile)('sh', ['-c', `exec ${command} ${stdin}`], {
      env: { ...process.env, ...env },
      timeout: 60_000,
    })
    const { code, stderr } = await refused.then(
      () => ({ code: 0, stderr: '' }),
      failure => failure,
    )
    t.match(stderr, `stdin must be a file, pipe or socket open for reading; received ${fault}\n`)
    t.equal(code, 2)
  }
  t.equal(sandbox.requests.length, 0)
})

t.test('what Frame.io does not say of an asset is no reason to refuse it', async t => {
  for (const said of [
    {},
    { upload_completed_at: null, upload_failed_at: null, filetype: null, type: 'file' },
    { uploaded_at: '2026-01-01T00:00:00Z', filetype: 'Video/MP4', status: 'created' },
  ]) {
    const { sandbox, asset, env, to } = await accountFor(t)
    const body = { id: asset.id, name: 'a.mp4', ...said }
    sandbox.faults.add({ on: 'get', do: { status: 200, body } })
    t.equal((await run(to, { env, input: 'x' })).code, 0)
    await asset.whenUploaded()
  }
})

t.test('where Frame.io cannot be reached it is said why, and how long it goes on', async t => {
  const server = await closedPort(t, res => json(res, 404, { error: 'not found' }))
  const args = ['--base-url', server.url, '--asset', 'a1', '--name', 'a.mp4']
  const { ended, hears } = start([...args, ...shell('echo x')], { env: { FRAMEIO_TOKEN: 'token' } })
  const why =
    /Reading asset a1 failed: connect ECONNREFUSED 127\.0\.0\.1:\d+; it is tried for \d+ s/
  await hears(new RegExp(`${why.source} more, and nothing is recorded yet\n`))
  await server.open()
  const { code, stderr } = await ended
  t.equal(stderr.match(/nothing is recorded yet/g)?.length, 1, 'a reason is said once')
  t.match(stderr, /Frame\.io answered 404/)
  t.equal(code, 1)
})

t.test('where Frame.io is silent that is said', async t => {
  const { sandbox, env, to } = await accountFor(t)
  sandbox.faults.add({ on: 'get', do: { delay: 3_000 } })
  const silent = await run([...to, ...shell('echo x')], { env })
  t.match(
    silent.stderr,
    /^frameio-upload: Frame\.io has not answered yet; nothing is recorded yet\n/,
  )
  t.equal(silent.code, 0)
})

t.test('during the take it is said how long it goes on failing', async t => {
  const { sandbox, env, to } = await accountFor(t)
  sandbox.faults.add({ on: 'put', do: { status: 503 } })
  const { code, stderr } = await run(to, { env, input: 'x' })
  t.match(stderr, /^frameio-upload: PUT of part 1 failed, again in .*503.*; given up in 10 min$/m)
  t.equal(code, 0)
  const forEver = await accountFor(t)
  forEver.sandbox.faults.add({ on: 'put', do: { status: 503 } })
  const args = [...forEver.to, '--give-up-after', 'never']
  t.notMatch((await run(args, { env: forEver.env, input: 'x' })).stderr, /given up/)
})

t.test('what a server says moves no cursor', async t => {
  const { sandbox, env, toNew } = await accountFor(t)
  const body = { error: 'not \u001b[2J\u001b]0;title\u0007\ryours' }
  sandbox.faults.add({ on: 'create', do: { status: 403, body } })
  const { code, stderr } = await run(toNew, { env })
  t.equal(code, 1)
  t.match(stderr, 'not yours')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  t.notMatch(stderr, /[\x00-\x09\x0b-\x1f]/)
})
