/**
 * `--follow` with a folder, on the built command.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, open, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Sandbox, SandboxAsset, SandboxOptions } from '../lib/sandbox/index.ts'
import { accountFor, callsOf } from './support/account.ts'
import { run, start } from './support/command.ts'
import { bytes, sha256, until } from './support/sandboxes.ts'

const MiB = 2 ** 20
t.setTimeout(600_000)
t.jobs = 2

/** An account, a folder in which files appear, and what follows it into that account. */
const setUp = async (t: Test, options: SandboxOptions = {}) => {
  const { sandbox, asset, env, base } = await accountFor(t, options)
  const root = t.testdir({ in: {} })
  const [dir, spool] = [join(root, 'in'), join(root, 'spool')]
  const args = [...base, '--parent', sandbox.parentId, '--follow', dir, '--spool', spool]
  const follow = (...more: string[]) => start([...args, ...more], { env })
  const made = () => madeIn(sandbox).filter(({ id }) => id !== asset.id)
  return { sandbox, env, base, root, dir, spool, args, follow, made }
}

const oldFile = async (path: string, content: Uint8Array, age = 3_600): Promise<void> => {
  await writeFile(path, content)
  const then = Date.now() / 1_000 - age
  await utimes(path, then, then)
}

const madeIn = (sandbox: Sandbox): SandboxAsset[] => {
  const ids = sandbox.requests.flatMap(({ assetId }) => assetId ?? [])
  return [...new Set(ids)].flatMap(id => sandbox.asset(id) ?? [])
}

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))

t.test(
  '50 files of which 5 are broken, killed in the middle: 45 assets, 5 named errors',
  async t => {
    const { sandbox, dir, spool, follow, made } = await setUp(t, { latency: { storage: 100 } })
    const contents = new Map<string, Buffer>()
    for (let n = 0; n < 45; n++) {
      const name = `A${String(n).padStart(3, '0')}.mov`
      contents.set(name, bytes(n % 10 === 0 ? 12 * MiB + n : 1_000 + n))
      await oldFile(join(dir, name), contents.get(name) as Buffer, 10_000 - n)
    }
    await mkdir(join(dir, 'B0.mov'))
    await oldFile(join(dir, 'B1.mov'), Buffer.alloc(0))
    await symlink('B2.mov', join(dir, 'B2.mov'))
    execFileSync('mkfifo', [join(dir, 'B3.mov')])
    await oldFile(join(dir, 'B4\n.mov'), bytes(10))
    const broken = ['B0.mov', 'B1.mov', 'B2.mov', 'B3.mov', 'B4\n.mov']

    const killed = follow('--once', '--json')
    await until(() => killed.said.stdout.split('\n').length > 12, 'a dozen to be done')
    killed.child.kill('SIGKILL')
    const first = (await killed.ended).stdout.split('\n').slice(0, -1)
    const toldBefore = first
      .map(line => JSON.parse(line))
      .filter(({ bytes }) => bytes !== undefined)
    const putsOf = (id: string) => sandbox.asset(id)?.parts.map(({ puts }) => puts)
    const before = toldBefore.map(({ assetId }) => [assetId, putsOf(assetId)])

    const { code, stdout, stderr } = await follow('--once', '--json').ended
    t.equal(code, 1, 'for some failed')
    const results = jsonLines(stdout)
    const failed = results.filter(({ error }) => error)
    t.strictSame(failed.map(({ file }) => file).sort(), broken)
    const told = jsonLines(stderr).filter(({ event }) => event === 'error')
    t.strictSame(told.map(({ file }) => file).sort(), broken)
    const done = results.filter(({ error }) => !error)
    // Of those that were done in the moment of the kill nobody could be told: four go up at a time.
    t.equal(toldBefore.length + done.length >= 41, true)
    t.strictSame(
      toldBefore.map(({ assetId }) => [assetId, putsOf(assetId)]),
      before,
      'nothing of what was done goes up again',
    )

    // One that was created when it was killed is named, if that moment was hit.
    const whole = made().filter(({ finals }) => finals === 1)
    t.strictSame(whole.map(({ name }) => name).sort(), [...contents.keys()])
    for (const asset of whole) {
      await asset.whenUploaded()
      t.equal(asset.sha256, sha256(contents.get(asset.name) as Buffer), asset.name)
    }
    const empty = made().filter(({ parts }) => parts.length === 0)
    const nameless = jsonLines(stderr).filter(({ event }) => event === 'nameless')
    t.equal(empty.length <= nameless.length, true, `${empty.length} without a number`)
    t.strictSame((await readdir(spool)).sort(), ['followed.journal', 'followed.lock'])

    const counts = [callsOf(sandbox, 'put'), callsOf(sandbox, 'create')]
    const third = await follow('--once').ended
    t.equal(third.stdout, '')
    t.equal(third.code, 1)
    t.strictSame([callsOf(sandbox, 'put'), callsOf(sandbox, 'create')], counts)
  },
)

t.test('where nothing is to be uploaded, that is said', async t => {
  const { follow } = await setUp(t)
  const { code, stderr } = await follow('--once', '--match', '*.qqq').ended
  t.match([code, stderr], [0, /nothing was to be uploaded/])
})

t.test('Ctrl-C: what is under way is over now, and nothing else is begun', async t => {
  const { dir, follow, made, sandbox } = await setUp(t)
  const file = await open(join(dir, 'live.mov'), 'w')
  t.teardown(() => file.close())
  const following = follow('--json')
  await file.write(bytes(24 * MiB))
  await until(() => callsOf(sandbox, 'put') > 0, 'a part to be stored while the file is open')
  following.child.kill('SIGINT')
  await following.hears(/no file is begun any more/)
  await writeFile(join(dir, 'late.mov'), bytes(10))
  const { code, stdout, stderr } = await following.ended
  t.equal(code, 0, stderr)
  const [asset] = made() as [SandboxAsset]
  t.equal(made().length, 1)
  await asset.whenUploaded()
  t.strictSame(jsonLines(stdout), [
    {
      ...{ file: 'live.mov', assetId: asset.id, bytes: 24 * MiB, parts: asset.parts.length },
      source: { ok: true, reason: 'told' },
    },
  ])
  t.equal(asset.sha256, sha256(await readFile(join(dir, 'live.mov'))))
})

t.test('twice aborts, and the next start goes on', async t => {
  const { dir, follow, made, sandbox } = await setUp(t)
  const path = join(dir, 'live.mov')
  const file = await open(path, 'w')
  sandbox.faults.add({ on: 'put', part: 1, times: Infinity, do: { hang: 'body' } })
  const following = follow()
  await file.write(bytes(24 * MiB))
  await until(() => made()[0]?.parts.some(({ stored }) => stored) ?? false, 'a part to be stored')
  following.child.kill('SIGINT')
  await following.hears(/no file is begun any more/)
  await new Promise(resolve => setTimeout(resolve, 700)) // Signals of half a second count as one.
  following.child.kill('SIGINT')
  const { code, stderr } = await following.ended
  t.equal(code, 130)
  t.match(stderr, /goes on at the next start/)
  sandbox.faults.clear()
  await file.close()
  const again = await follow('--once', '--idle', '1s').ended
  t.equal(again.code, 0, again.stderr)
  t.match(again.stderr, /live\.mov: asset .* goes on/)
  t.equal(made().length, 1)
  await made()[0]?.whenUploaded()
  t.equal(made()[0]?.sha256, sha256(await readFile(path)))
})

t.test('a file that its writer did not finish: 3, and which', async t => {
  const { dir, follow } = await setUp(t)
  const head = Buffer.from('RIFF\0\0\0\0WAVEfmt \x10\0\0\0', 'latin1')
  await oldFile(join(dir, 'cut.wav'), Buffer.concat([head, bytes(1_000)]))
  await oldFile(join(dir, 'well.mov'), bytes(1_000))
  const { code, stdout, stderr } = await follow('--once').ended
  t.equal(code, 3, stderr)
  t.match(stderr, /cut\.wav was not finished/)
  t.equal(stdout.trim().split('\n').length, 2)
})

t.test('a second one on the same spool is refused', async t => {
  const { spool, follow } = await setUp(t)
  const first = follow()
  const { pid } = first.child
  const isTaken = () =>
    existsSync(join(spool, 'followed.lock')) &&
    readFileSync(join(spool, 'followed.lock'), 'utf8').includes(`"pid":${pid},`)
  await until(isTaken, 'the first to have the spool')
  const { code, stderr } = await follow('--once').ended
  t.equal(code, 1)
  t.match(stderr, `process ${pid} is working on this spool`)
  first.child.kill('SIGTERM')
  t.equal((await first.ended).code, 0)
})

t.test('in a sandbox, with patterns', async t => {
  const { dir, spool, root } = await setUp(t)
  await oldFile(join(dir, 'A.mov'), bytes(100))
  await oldFile(join(dir, 'B.R3D'), bytes(200))
  await oldFile(join(dir, 'C.wav'), bytes(300))
  const out = join(root, 'out')
  const where = ['--follow', `${dir}/`, '--spool', spool, '--sandbox', out, '--once']
  const { code, stdout, stderr } = await run([...where, '--match', '*.mov', '--match', '*.r3d'])
  t.equal(code, 0, stderr)
  const lines = stdout
    .trim()
    .split('\n')
    .sort((a, b) => (a.slice(40) < b.slice(40) ? -1 : 1))
  t.equal(lines.length, 2)
  t.match(lines[0], /^[\w-]+ {2}100 bytes {2}1 parts {2}A\.mov {2}.*\/out\/.*\/A\.mov$/)
  t.match(lines[1], /B\.R3D$/)
})

t.test('what makes no sense with a folder is refused', async t => {
  const { dir, spool, env } = await setUp(t)
  const ok = ['--follow', dir, '--spool', spool, '--parent', 'f']
  const cases: readonly [readonly string[], RegExp][] = [
    [['--follow', dir, '--parent', 'f'], /needs --spool DIR/],
    [['--follow', dir, '--spool', spool], /needs --parent ID, --device VERSION or --sandbox/],
    [[...ok, '--asset', 'a'], /--asset has no meaning with --follow and a folder: each file/],
    [[...ok, '--name', 'a.mov'], /--name has no meaning with --follow and a folder: each file/],
    [[...ok, '--filetype', 'video/mp4'], /--filetype has no meaning/],
    [[...ok, '--until-pid', '1'], /--until-pid has no meaning with --follow and a folder/],
    [[...ok, '--device', '1.0.0'], /--parent has no meaning with --device/],
    [[...ok, '--sandbox'], /--parent has no meaning with --sandbox/],
    [[...ok, '--match', ''], /--match must not be empty/],
    [[...ok, '--', 'ffmpeg'], /no program stands behind --; received ffmpeg/],
    [[...ok.with(1, `${dir}/none/`)], /--follow must be a folder that can be read.*none/],
    [
      ['--follow', 'x.mov', '--parent', 'f', '--once'],
      /--once has no meaning without --follow and a/,
    ],
    [['--match', '*', '--parent', 'f', '--name', 'a.mp4'], /--match has no meaning without/],
  ]
  for (const [args, message] of cases) {
    const { code, stderr } = await run(args, { env })
    t.equal(code, 2, args.join(' '))
    t.match(stderr, message)
  }
})
