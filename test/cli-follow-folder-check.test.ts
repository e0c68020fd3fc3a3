/**
 * What the built command finds out before it follows a folder, and how it ends where nothing can go up.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { accountFor, callsOf } from './support/account.ts'
import { start } from './support/command.ts'
import { bytes } from './support/sandboxes.ts'

t.setTimeout(300_000)

/** A folder of eight files, and what follows it. */
const setUp = async (t: Test) => {
  const account = await accountFor(t)
  const root = t.testdir({})
  const [dir, spool] = [join(root, 'in'), join(root, 'spool')]
  await mkdir(dir)
  for (let n = 0; n < 8; n++) await writeFile(join(dir, `A${n}.mov`), bytes(100))
  const args = [...account.base, '--follow', dir, '--spool', spool]
  const follow = (more: readonly string[], env: Record<string, string> = account.env) =>
    start([...args, ...more], { env })
  return { ...account, dir, spool, follow }
}

/** How often this is said. */
const count = (text: string, pattern: RegExp): number =>
  text.match(new RegExp(pattern, 'g'))?.length ?? 0

t.test('a folder that Frame.io does not know: said once, and nothing is watched', async t => {
  const { follow, sandbox, spool } = await setUp(t)
  const { code, stderr, stdout } = await follow(['--parent', 'no-such-folder']).ended
  t.strictSame([code, stdout], [1, ''])
  t.match(
    stderr,
    /no-such-folder failed: Frame.io answered 404.*; check --parent, the id of a folder or/,
  )
  t.notMatch(stderr, /--device|parentId/)
  t.equal(count(stderr, /404/), 1, stderr)
  t.equal(callsOf(sandbox, 'create'), 0)
  await t.rejects(readdir(spool))
})

t.test('a dead token likewise, on the platform and of a device', async t => {
  const { follow, sandbox } = await setUp(t)
  for (const where of [['--parent', sandbox.parentId], ['--device', '1.0.0'] as const]) {
    const { code, stderr } = await follow(where, { FRAMEIO_TOKEN: 'dead' }).ended
    t.equal(code, 1)
    t.equal(count(stderr, /401/), 1, stderr)
    t.match(stderr, /Put a valid token into FRAMEIO_TOKEN/)
  }
  t.strictSame([callsOf(sandbox, 'get'), callsOf(sandbox, 'device')], [1, 1])
  t.equal(callsOf(sandbox, 'create'), 0)
})

t.test('a file in place of a folder makes no sense', async t => {
  const { follow, asset } = await setUp(t)
  const { code, stderr } = await follow(['--parent', asset.id]).ended
  t.equal(code, 2)
  t.match(stderr, `--parent must be the id of a folder or project root; received ${asset.id}`)
})

t.test('--no-check asks nothing, and what is wrong is said once all the same', async t => {
  const { follow, sandbox } = await setUp(t)
  const { code, stderr } = await follow(['--parent', 'no-such-folder', '--no-check']).ended
  t.equal(code, 1)
  t.equal(count(stderr, /404/), 1, stderr)
  t.equal(callsOf(sandbox, 'get'), 0)
  t.ok(callsOf(sandbox, 'create') <= 4, 'those that were tried at the same time')
})

t.test('a token that may create and not read is no reason to stop', async t => {
  const { follow, sandbox } = await setUp(t)
  sandbox.faults.add({ on: 'get', do: { status: 403 } })
  const { code, stdout, stderr } = await follow([
    '--parent',
    sandbox.parentId,
    '--once',
    '--idle',
    '1s',
  ]).ended
  t.equal(code, 0, stderr)
  t.match(stderr, /answered 403.*followed all the same/)
  t.equal(stdout.trim().split('\n').length, 8)
})

/** An API at a port at which nobody listens. */
const nobody = async (): Promise<string> => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

t.test('an outage is waited for, and a second Ctrl-C does not wait', async t => {
  const { follow } = await setUp(t)
  const api = ['--base-url', await nobody(), '--parent', 'f']
  const brief = await follow([...api, '--give-up-after', '0s', '--once']).ended
  t.equal(brief.code, 1)
  t.match(brief.stderr, /ECONNREFUSED.*followed all the same/)
  t.match(brief.stderr, /A0.mov: Creating the asset failed/, 'each is tried')

  const following = follow([...api, '--give-up-after', 'never', '--no-check'])
  await following.hears(/Creating the asset failed.*it is tried again/)
  following.child.kill('SIGINT')
  await following.hears(/no file is begun any more/)
  await new Promise(resolve => setTimeout(resolve, 700)) // Signals of half a second count as one.
  following.child.kill('SIGINT')
  const { code, stderr } = await following.ended
  t.equal(code, 130)
  t.match(stderr, /goes on at the next start/)
})

t.test('an outage in which a device needs new tokens keeps no folder waiting', async t => {
  const { sandbox, dir, follow } = await setUp(t)
  const { clientId, accessToken, refreshToken } = sandbox.devices.pair()
  const credentials = join(dir, '..', 'cam.json')
  const { clientSecret } = sandbox.credentials
  const kept = {
    clientId,
    clientSecret,
    accessToken,
    refreshToken,
    lifetime: 1,
    expiresAt: '2020',
  }
  await writeFile(credentials, JSON.stringify(kept))
  sandbox.faults.add({ on: 'token', times: Infinity, do: { status: 503 } })
  const { child, ended, hears } = follow(['--device', '1.0.0', '--credentials', credentials], {})
  await hears(/no token is to be had .*503.*; the folder is followed all the same/)
  sandbox.faults.clear()
  await hears(/A7\.mov/)
  child.kill('SIGINT')
  t.equal((await ended).code, 0)
})
