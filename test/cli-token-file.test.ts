/**
 * `--token-file`, where the file is a pipe: what was read once is used until Frame.io refuses it.
 */
import { execFile, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { accountFor, shell } from './support/account.ts'
import { CLI, run, start } from './support/command.ts'
import { bytes, until } from './support/sandboxes.ts'

const MiB = 2 ** 20
t.setTimeout(300_000)
t.jobs = 4

const skip = process.platform === 'win32' && 'there are no such files on Windows'
const noBash = spawnSync('bash', ['--version']).status !== 0 && 'there is no bash'

t.test('<(…) is read once', { skip: skip || noBash }, async t => {
  const { sandbox, asset, to } = await accountFor(t)
  const line = '"$NODE" "$CLI" $TO --token-file <(printf %s "$WORD") -- sh -c "echo some bytes"'
  const env = { NODE: process.execPath, CLI, TO: to.join(' '), WORD: sandbox.token }
  const timeout = 60_000
  await promisify(execFile)('bash', ['-c', line], { env: { ...process.env, ...env }, timeout })
  await asset.whenUploaded()
  t.equal(asset.filesize, 11)
})

t.test('a FIFO whose token is refused is not opened again', { skip }, async t => {
  const { sandbox, asset, to } = await accountFor(t)
  const fifo = join(t.testdir(), 'token')
  spawnSync('mkfifo', [fifo])
  const args = [...to, '--token-file', fifo]
  const command = start(args, { input: bytes(6 * MiB), open: true })
  await writeFile(fifo, `${sandbox.token}\n`)
  await until(() => asset.storedBytes > 0)
  sandbox.renewToken()
  command.child.stdin?.end(bytes(MiB))
  const { code, stderr } = await command.ended
  t.match(stderr, /The token was refused, .*token is no regular file, so it is read only once\./)
  t.match(stderr, /Put a valid token into FRAMEIO_TOKEN/)
  t.equal(code, 1)
})

t.test('a FIFO that nobody writes to does not outlast Ctrl-C', { skip }, async t => {
  const { to } = await accountFor(t)
  const fifo = join(t.testdir(), 'token')
  spawnSync('mkfifo', [fifo])
  const { child, ended, hears } = start([...to, '--token-file', fifo], { open: true })
  await hears(/token gives no token yet; nothing is recorded yet/)
  child.kill('SIGINT')
  t.equal((await ended).code, 130)
})

t.test('stdin has the token where a program makes the recording', { skip }, async t => {
  for (const file of ['/dev/stdin', '/dev/fd/0']) {
    const { sandbox, asset, to } = await accountFor(t)
    const args = [...to, '--token-file', file, ...shell('echo x; cat')]
    const { code, stderr } = await run(args, { input: sandbox.token })
    t.equal(stderr, '')
    t.equal(code, 0)
    await asset.whenUploaded()
    t.equal(asset.filesize, 2, 'and the program finds stdin at its end')
  }
})

t.test('stdin cannot have both the token and the recording', { skip }, async t => {
  const { sandbox, to } = await accountFor(t)
  const outcome = await run([...to, '--token-file', '/dev/stdin'], { input: sandbox.token })
  t.match(outcome, { code: 2, stdout: '' })
  t.match(outcome.stderr, /--token-file is stdin, and so is the recording: give -- and a program/)
})

t.test('a file without end is no token', { skip }, async t => {
  const { to } = await accountFor(t)
  const { code, stderr } = await run([...to, '--token-file', '/dev/zero'])
  t.match(stderr, /--token-file cannot be read: it has more than 65536 characters/)
  t.equal(code, 2)
})
