/**
 * `--spool` and `--resume`, on the built command.
 */
import { mkdir, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { accountFor, callsOf, shell } from './support/account.ts'
import { run, start } from './support/command.ts'
import { sha256, until } from './support/sandboxes.ts'

const MiB = 2 ** 20
t.setTimeout(300_000)
t.jobs = 3

type Account = Awaited<ReturnType<typeof accountFor>>

/** A program that writes so many MiB, all different, and goes on without a word. */
const camera = (mebibytes: number, dir: string) =>
  shell(`head -c ${mebibytes * MiB} /dev/urandom | tee ${dir}/shot; exec sleep 60`)

/** A take into a spool, killed once all it recorded is durable. */
const killed = async ({ env, toNew }: Account, dir: string, mebibytes: number, name = 'spool') => {
  const spool = ['--spool', join(dir, name), '--keep-free', '0', '--json']
  const { child, said, ended } = start([...toNew, ...spool, ...camera(mebibytes, dir)], { env })
  const isDurable = () => said.stderr.includes(`"bytesDurable":${mebibytes * MiB}`)
  await until(isDurable, 'all to be durable')
  child.kill('SIGKILL')
  await ended
  return join(dir, name)
}

t.test('a take whose command was killed is listed, and finished', async t => {
  const account = await accountFor(t)
  const { sandbox, env, base } = account
  const dir = t.testdir()
  const spool = await killed(account, dir, 12)
  const [id = ''] = await readdir(spool)
  const shot = await readFile(join(dir, 'shot'))

  const listed = await run(['--resume', spool, '--list'])
  t.match(listed.stdout, new RegExp(`^${id}  [\\d.]+ .iB here  [\\d.]+ .iB stored  \\d+ s old\\n$`))
  t.equal(listed.code, 0)
  const asJson = await run(['--resume', spool, '--list', '--json'])
  t.match(JSON.parse(asJson.stdout), { assetId: id, filetype: 'video/mp4', origin: sandbox.url })
  t.equal(sandbox.asset(id)?.status, 'created', 'which uploads nothing')

  const resumed = await run(['--resume', spool, ...base], { env })
  t.match(resumed.stderr, /are to be sent/)
  t.equal(resumed.stdout, `${id}  ${12 * MiB} bytes  3 parts\n`)
  t.equal(resumed.code, 0)
  await sandbox.asset(id)?.whenUploaded()
  t.equal(sandbox.asset(id)?.sha256, sha256(shot))
  t.strictSame(await readdir(spool), [])
  const nothing = await run(['--resume', spool, ...base], { env })
  t.match(nothing, { code: 0, stdout: '' })
})

t.test('one that cannot be finished does not keep the others', async t => {
  const account = await accountFor(t)
  const { sandbox, env, base } = account
  const dir = t.testdir()
  const spool = await killed(account, dir, 6)
  const [broken = ''] = await readdir(spool)
  await killed(account, dir, 6)
  const [other = ''] = (await readdir(spool)).filter(id => id !== broken)
  await truncate(join(spool, broken, 'journal'), 10)
  const { code, stdout, stderr } = await run(['--resume', spool, ...base], { env })
  t.match(stderr, new RegExp(`asset ${broken}: .*journal is damaged at byte 0`))
  t.equal(stdout, `${other}  ${6 * MiB} bytes  2 parts\n`)
  t.equal(code, 1)
  await sandbox.asset(other)?.whenUploaded()
  t.strictSame(await readdir(spool), [broken])
})

t.test('a resume that is interrupted ends with 130, and leaves all to the next', async t => {
  const account = await accountFor(t)
  const { sandbox, env, base } = account
  const dir = t.testdir()
  const spool = await killed(account, dir, 6)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { child, ended, hears } = start(['--resume', spool, ...base], { env })
  await hears(/are to be sent/)
  child.kill('SIGINT')
  t.match(await ended, { code: 130, stderr: /aborted; what is not done stays in/ })
  sandbox.faults.clear()
  t.match(await run(['--resume', spool, ...base], { env }), { code: 0, stdout: /2 parts/ })
})

t.test('a take that is aborted says how to finish it, and its asset is not deleted', async t => {
  const account = await accountFor(t)
  const { sandbox, env, base, toNew } = account
  const dir = t.testdir()
  const spool = join(dir, 'the spool')
  const stubborn = shell(`trap "" INT TERM; head -c ${MiB} /dev/urandom; exec sleep 60`)
  const args = [...toNew, '--spool', spool, '--keep-free', '0', '--json']
  const { child, said, ended, hears } = start([...args, ...stubborn], { env })
  await until(() => said.stderr.includes(`"bytesDurable":${MiB}`), 'a MiB to be durable')
  child.kill('SIGINT')
  await hears(/Once more aborts/)
  await new Promise(resolve => setTimeout(resolve, 600))
  child.kill('SIGINT')
  const { code, stderr } = await ended
  t.equal(code, 130)
  t.equal(callsOf(sandbox, 'delete'), 0)
  const [, line] = /: frameio-upload (--resume .*) finishes it/.exec(stderr) ?? []
  t.equal(line, `--resume '${spool}' ${base.join(' ')}`)
  t.match(await run(['--resume', spool, ...base], { env }), { code: 0, stdout: /1048576 bytes/ })
})

t.test(
  'what is unfinished is named when a take begins; of its own asset it is refused',
  async t => {
    const account = await accountFor(t)
    const { env, base, to } = account
    const dir = t.testdir()
    const spool = await killed(account, dir, 6, 'the spool')
    const [id = ''] = await readdir(spool)
    const args = ['--spool', spool, '--keep-free', '0']
    // What a take leaves that was cut off at once keeps nobody from the next.
    await mkdir(join(spool, account.asset.id))
    const next = await run([...to, ...args], { env, input: 'another take' })
    t.match(next.stderr, new RegExp(`cut off: ${id} \\([\\d.]+ MiB\\).*--resume '.*the spool'`))
    t.equal(next.code, 0)
    const same = await run([...base, '--asset', id, '--filetype', 'video/mp4', ...args], { env })
    t.match(same, {
      code: 2,
      stderr: /unfinished take of asset .* finish it first, with .* '.*the spool'/,
    })
  },
)

t.test('with --keep-spool each take stays, also one that was killed and finished', async t => {
  const account = await accountFor(t)
  const { sandbox, env, base, toNew } = account
  const dir = t.testdir()
  const spool = join(dir, 'spool')
  const args = ['--spool', spool, '--keep-free', '0', '--keep-spool', '--json']
  const shot = Buffer.alloc(6 * MiB, 'a take')
  const whole = await run([...toNew, ...args], { env, input: shot })
  const { assetId, kept } = JSON.parse(whole.stdout)
  t.strictSame(kept, { path: join(spool, assetId, 'new.mp4'), missing: [] })
  t.ok((await readFile(kept.path)).equals(shot))

  const { child, said, ended } = start([...toNew, ...args, ...camera(12, dir)], { env })
  await until(() => said.stderr.includes(`"bytesDurable":${12 * MiB}`), 'all to be durable')
  child.kill('SIGKILL')
  await ended
  const [id = ''] = (await readdir(spool)).filter(name => name !== assetId)
  const resumed = await run(['--resume', spool, ...base], { env })
  const path = join(spool, id, 'new.mp4')
  t.match(resumed, { code: 0, stdout: `${id}  ${12 * MiB} bytes  3 parts  ${path}\n` })
  t.ok((await readFile(path)).equals(await readFile(join(dir, 'shot'))))
  await sandbox.asset(id)?.whenUploaded()
  t.strictSame((await readdir(spool, { recursive: true })).sort(), [
    ...[assetId, join(assetId, 'new.mp4'), id, join(id, 'new.mp4')].sort(),
  ])
  const nothing = await run(['--resume', spool, '--list'])
  t.match(nothing, { code: 0, stdout: '' })
})

t.test('with a sandbox it works as well, and afterwards its server is gone', async t => {
  const dir = t.testdir()
  const args = ['--sandbox', join(dir, 'out'), '--name', 'a.mp4', '--keep-free', '0']
  const spool = join(dir, 'spool')
  const { code } = await run([...args, '--spool', spool], { input: Buffer.alloc(6 * MiB, 1) })
  t.equal(code, 0)
  t.strictSame(await readdir(spool), [])
  const { child, said, ended } = start([...args, '--json', '--spool', spool, ...camera(6, dir)])
  await until(() => said.stderr.includes(`"bytesDurable":${6 * MiB}`), 'all to be durable')
  child.kill('SIGKILL')
  await ended
  const { env, base } = await accountFor(t)
  const resumed = await run(['--resume', spool, ...base], { env })
  t.match(resumed, { code: 1, stderr: /the server of a --sandbox is gone with it/ })
  await rm(spool, { recursive: true })
})

t.test('what makes no sense is refused', async t => {
  const rows: [string[], RegExp][] = [
    [['--list'], /--list has no meaning without --resume/],
    [['--resume', '/nowhere'], /--resume must be a folder/],
    [['--resume', '.', '--base-url', 'http://frame.io'], /--base-url must be an https URL/],
    [['--resume', '.', '--device', 'x'], /--device must be a semantic version/],
    [['--resume', '.', '--name', 'a.mp4'], /--name has no meaning with --resume/],
    [['--resume', '.', '--spool', '.'], /--spool has no meaning with --resume/],
    [['--resume', '.', '--', 'true'], /no program stands behind it/],
    [['--sandbox', '--name', 'a.mp4', '--spool-max', '1G'], /--spool-max has no meaning without/],
    [['--sandbox', '--name', 'a.mp4', '--spool-overflow'], /--spool-overflow has no meaning/],
    [['--sandbox', '--name', 'a.mp4', '--keep-spool'], /--keep-spool has no meaning without/],
    [
      ['--sandbox', '--name', 'a.mp4', '--spool', '.', '--keep-spool', '--spool-overflow'],
      /--keep-spool has no meaning with --spool-overflow/,
    ],
    [
      ['--sandbox', '--name', 'a.mp4', '--spool', '/dev/null/x'],
      /--spool must be a folder to write/,
    ],
    [['--sandbox', '--name', 'a.mp4', '--spool', ''], /--spool must not be empty/],
  ]
  for (const [args, stderr] of rows) t.match(await run(args), { code: 2, stderr }, args.join(' '))
})
