/**
 * Stdout has the result; where it takes nothing the result is not lost.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import t from 'tap'
import { accountFor } from './support/account.ts'
import { CLI } from './support/command.ts'

t.setTimeout(120_000)

const skip = !existsSync('/dev/full') && 'there is no /dev/full'

/** A line of a shell, in which COMMAND has these arguments. */
const inShell = async (line: string, args: readonly string[], env: object = {}) => {
  const whole = line.replace('COMMAND', '"$NODE" "$CLI" "$@"')
  const child = spawn('sh', ['-c', whole, 'sh', ...args], {
    env: { ...process.env, NODE: process.execPath, CLI, ...env },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  child.stdin.on('error', () => {}).end('some bytes')
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const [code] = await once(child, 'close')
  return { code, stderr }
}

t.test('a result that a full disk does not take goes to stderr', { skip }, async t => {
  const { asset, env, to } = await accountFor(t)
  const { code, stderr } = await inShell('COMMAND > /dev/full', to, env)
  const result = `${asset.id} {2}10 bytes {2}1 parts {2}[\\d.]+ s\n$`
  t.match(
    stderr,
    new RegExp(`stdout takes nothing \\(ENOSPC.*\\), so here is the result: ${result}`),
  )
  t.equal(code, 1)
  await asset.whenUploaded()
})

t.test('with --json as an object', { skip }, async t => {
  const { asset, env, to } = await accountFor(t)
  const { code, stderr } = await inShell('COMMAND > /dev/full', [...to, '--json', '--quiet'], env)
  t.match(JSON.parse(stderr), { event: 'unwritten', result: { assetId: asset.id, bytes: 10 } })
  t.equal(code, 1)
})

t.test('--help and --version that cannot be written are no success', { skip }, async t => {
  for (const flag of ['--help', '--version']) {
    const { code, stderr } = await inShell('COMMAND > /dev/full', [flag])
    t.match(stderr, /^frameio-upload: stdout takes nothing: ENOSPC/)
    t.equal(code, 1)
  }
})

t.test('a reader that has left is no failure', async t => {
  const { asset, env, to } = await accountFor(t)
  const { stderr } = await inShell('{ COMMAND; echo "code $?" >&2; } | true', to, env)
  t.match(stderr, /code 0/)
  await asset.whenUploaded()
})
