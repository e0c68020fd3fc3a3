/**
 * The command refuses before it makes anything.
 */
import { readdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { accountFor, callsOf } from './support/account.ts'
import { run, start } from './support/command.ts'
import { until } from './support/sandboxes.ts'

t.setTimeout(300_000)

t.test('of a refusal nothing is left: no folder, no asset', async t => {
  const { sandbox, env, base, toNew } = await accountFor(t)
  const name = ['--name', 'a.mp4']
  const asset = [...base, '--asset', 'a1', ...name]
  const local = (...more: string[]) => ['--sandbox', ...more]
  const kinds: (readonly [args: readonly string[], env?: Record<string, string>])[] = [
    [[...local(), ...name, '--memory', '0']],
    [[...local('out'), ...name, '--memory', '0']],
    [[...local('deep/er/out'), ...name, '--memory', '0']],
    [[...local('out'), ...name, '--part-size', '1MiB']],
    [[...local('out'), ...name, '--concurrency', '0']],
    [[...local('out'), ...name, '--filetype', 'mp4']],
    [[...local('out'), ...name, '--give-up-after', 'soon']],
    [[...local('out'), '--name', 'a.b c']],
    [[...local('out'), '--name', 'mp4', '--filetype', 'video/mp4']],
    [[...local(), '--extension', 'mp4', '--filetype', 'video/mp4']],
    [[...local('deep/out'), '--extension', '.m p4', '--filetype', 'video/mp4']],
    [[...local('taken/out'), ...name]],
    [[...local('taken'), ...name]],
    [[...local('out'), ...name, '--']],
    [[...toNew, '--memory', '0']],
    [[...toNew, '--filetype', 'mp4']],
    [[...toNew, '--max-size', '0']],
    [[...asset, '--memory', '0']],
    [[...asset, '--base-url', 'http://frame.io']],
    [[...asset, '--token-file', 'none']],
    [asset, { FRAMEIO_TOKEN: 'two words' }],
    [asset, { FRAMEIO_TOKEN: '' }],
    [toNew, { http_proxy: 'ftp://proxy:1' }],
    [[...toNew, '--producer-log', 'log', '--', 'true'], { http_proxy: 'ftp://proxy:1' }],
    [[...local('taken'), ...name, '--producer-log', 'log', '--', 'true']],
    [[...asset, '--token-file', 'none', '--producer-log', 'log', '--', 'true']],
  ]
  if (process.platform === 'linux') {
    for (const dir of ['/proc/x', '/proc/x/y', '/dev/null/x'])
      kinds.push([[...local(dir), ...name]])
  }
  const dir = t.testdir({ cwd: { taken: '' }, tmp: {} })
  const [cwd, tmp] = [join(dir, 'cwd'), join(dir, 'tmp')]
  for (const [args, more] of kinds) {
    const told = args.join(' ')
    const outcome = await run(args, { cwd, input: 'x', env: { ...env, TMPDIR: tmp, ...more } })
    t.match(outcome, { code: 2, stdout: '' }, told)
    t.match(outcome.stderr, /^frameio-upload: .+/, told)
    t.strictSame(await readdir(cwd), ['taken'], told)
    t.strictSame(await readdir(tmp), [], told)
  }
  t.equal(callsOf(sandbox, 'create'), 0)
})

/** As on a disk that takes its time. */
const SLOW_FOLDERS = `
  import { promises } from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  import { setTimeout as wait } from 'node:timers/promises'
  const { mkdtemp } = promises
  promises.mkdtemp = async (...args) => {
    const folder = await mkdtemp(...args)
    await wait(700)
    return folder
  }
  syncBuiltinESMExports()`

t.test('of a sandbox that Ctrl-C ends while it is being made no folder is left', async t => {
  const tmp = t.testdir()
  const slow = `--import=data:text/javascript,${encodeURIComponent(SLOW_FOLDERS)}`
  const args = ['--sandbox', '--name', 'a.mp4', '--', 'true']
  const { child, ended } = start(args, { env: { TMPDIR: tmp, NODE_OPTIONS: slow } })
  await until(() => readdirSync(tmp).length > 0, 'its folder')
  child.kill('SIGINT')
  const { code, stderr } = await ended
  t.match(stderr, /aborted before anything was recorded/)
  t.equal(code, 130)
  t.strictSame(await readdir(tmp), [])
})
