/**
 * An asset that the command created for a take that came to nothing is deleted, or named; one that may
 * hold something never.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { accountFor, callsOf, shell } from './support/account.ts'
import { run, start } from './support/command.ts'
import { bytes, until } from './support/sandboxes.ts'

const MiB = 2 ** 20
t.setTimeout(300_000)
t.jobs = 4

t.test('a new asset of which nothing was recorded', async t => {
  t.test('is deleted where the program fails before its first byte', async t => {
    const { sandbox, env, toNew } = await accountFor(t)
    const failing = shell('echo no camera >&2; exit 1')
    const { code, stderr } = await run([...toNew, ...failing], { env })
    t.match(stderr, /no camera/)
    const [, id = ''] =
      /Asset ([\w-]+), which was created for it, was deleted\.\n$/.exec(stderr) ?? []
    t.ok(
      sandbox.requests.some(({ path }) => path.endsWith(id)),
      stderr,
    )
    t.equal(sandbox.asset(id), undefined)
    t.notMatch(stderr, /stays unfinished/)
    t.equal(code, 1)
    const asJson = await run([...toNew, '--json', ...failing], { env })
    t.match(JSON.parse(asJson.stdout), { deleted: true, error: { code: 'ERR_SOURCE_FAILED' } })
    t.equal(callsOf(sandbox, 'delete'), 2)
  })

  t.test('is deleted where the input is empty', async t => {
    const { sandbox, env, toNew } = await accountFor(t)
    const { code, stderr } = await run(toNew, { env })
    t.match(stderr, /was created for it, was deleted/)
    t.equal(code, 1)
    t.equal(callsOf(sandbox, 'delete'), 1)
  })

  t.test('is deleted where it is aborted before a byte came', async t => {
    const { sandbox, env, toNew } = await accountFor(t)
    const ready = join(t.testdir(), 'ready')
    const stubborn = shell(`trap "" INT TERM; touch ${ready}; exec sleep 60`)
    const { child, ended, hears } = start([...toNew, ...stubborn], { env })
    await until(() => existsSync(ready), 'the program to run')
    child.kill('SIGINT')
    await hears(/Once more aborts/)
    await new Promise(resolve => setTimeout(resolve, 600))
    child.kill('SIGINT')
    const { code, stderr } = await ended
    t.match(stderr, /aborted\nframeio-upload: Asset .*, which was created for it, was deleted\.\n$/)
    t.equal(code, 130)
    t.equal(callsOf(sandbox, 'delete'), 1)
  })

  t.test('is deleted where Ctrl-C came while it was being created', async t => {
    const { sandbox, env, toNew } = await accountFor(t)
    sandbox.faults.add({ on: 'create', do: { delay: 700 } })
    const took = join(t.testdir(), 'took')
    const { child, ended } = start([...toNew, ...shell(`touch ${took}`)], { env })
    await until(() => callsOf(sandbox, 'create') > 0, 'the creation')
    child.kill('SIGINT')
    const { code, stderr } = await ended
    t.match(stderr, /aborted before anything was recorded\n.*was created for it, was deleted/)
    t.equal(code, 130)
    t.equal(callsOf(sandbox, 'delete'), 1)
    t.notOk(existsSync(took))
  })

  t.test('is named where it may not be deleted', async t => {
    const { sandbox, env, base, toNew } = await accountFor(t)
    const body = { error: 'not yours' }
    sandbox.faults.add({ on: 'delete', do: { status: 403, body } })
    const { code, stderr } = await run(toNew, { env })
    t.match(stderr, /Asset [\w-]+, which .*, is empty, and could not be deleted: .*not yours/)
    t.equal(code, 1)
    const device = await run([...base, '--device', '1.2.3', '--name', 'a.mp4'], { env })
    t.match(device.stderr, /Asset [\w-]+, .*, is empty: delete it in Frame\.io, for a device may/)
    t.equal(callsOf(sandbox, 'delete'), 1, 'a device does not even ask')
  })

  t.test('is named where Frame.io is silent, and a signal does not wait for that', async t => {
    for (const [signal, why] of [
      [undefined, 'Frame.io has not answered in time'],
      ['SIGINT', 'nobody waited for the answer'],
    ] as const) {
      const { sandbox, env, toNew } = await accountFor(t)
      sandbox.faults.add({ on: 'delete', do: { hang: 'answer' }, times: 9 })
      const { child, ended } = start([...toNew, ...shell('exit 1')], { env })
      await until(() => callsOf(sandbox, 'delete') > 0, 'the deletion')
      if (signal) child.kill(signal)
      const { code, stderr } = await ended
      t.match(stderr, new RegExp(`Asset [\\w-]+, .*, is empty, and could not be deleted: ${why}`))
      t.equal(code, 1)
      t.equal(callsOf(sandbox, 'delete'), 1)
    }
  })

  t.test('is never deleted once a part was registered, nor where it was there before', async t => {
    const unfinished = /\n {2}Asset [\w-]+ stays unfinished\.\n$/
    for (const on of ['register', 'put'] as const) {
      const { sandbox, env, to, toNew } = await accountFor(t)
      sandbox.faults.add({ on, do: { status: 400 } })
      t.match(await run(toNew, { env, input: bytes(6 * MiB) }), { code: 1, stderr: unfinished })
      t.match(await run(to, { env }), { code: 1, stderr: unfinished })
      t.equal(callsOf(sandbox, 'delete'), 0)
    }
  })
})
