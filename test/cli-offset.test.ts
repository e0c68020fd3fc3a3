/**
 * What the built command says of the age of a device's media (`offset`).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SandboxAsset } from '../lib/sandbox/index.ts'
import { CLI, run, start } from './support/command.ts'
import { bytes, sandboxFor } from './support/sandboxes.ts'

const HOUR = 3_600

/** A device, and how the command uploads for it. */
const setUp = async (t: Test) => {
  const sandbox = await sandboxFor(t)
  const device = sandbox.devices.pair()
  const env = { FRAMEIO_TOKEN: device.accessToken }
  const base = ['--base-url', sandbox.url, '--device', '1.0.0', '--name', 'A001.mov']
  const assets = () => {
    const ids = sandbox.requests.flatMap(({ assetId }) => assetId ?? [])
    return [...new Set(ids)].flatMap(id => sandbox.asset(id) ?? [])
  }
  return { sandbox, device, env, base, assets, dir: t.testdir({}) }
}

const isOld = (path: string, age: number): Promise<void> => {
  const then = Date.now() / 1_000 - age
  return utimes(path, then, then)
}

/** Of a file that is so old, whatever time the machine takes for it. */
const isAbout = (t: Test, asset: SandboxAsset | undefined, age: number) => {
  const { offset = Number.NaN } = asset ?? {}
  t.ok(offset >= age && offset < age + 600, `${offset} s for what is ${age} s old`)
  t.ok(Number.isInteger(offset))
}

t.test('what a program films is being made now, and so is what comes through a pipe', async t => {
  const { env, base, assets } = await setUp(t)
  t.equal((await run([...base, '--', 'sh', '-c', 'printf film'], { env })).code, 0)
  t.equal((await run(base, { env, input: 'film' })).code, 0)
  t.strictSame(
    assets().map(({ offset }) => offset),
    [0, 0],
  )
})

t.test('a file that is followed was begun when its first byte was written', async t => {
  const { env, base, assets, dir } = await setUp(t)
  const old = join(dir, 'old.mov')
  await writeFile(old, bytes(100))
  await isOld(old, HOUR)
  t.equal((await run([...base, '--follow', old, '--idle', '1s'], { env })).code, 0)
  isAbout(t, assets()[0], HOUR)

  const late = join(dir, 'late.mov')
  const following = start([...base, '--follow', late, '--idle', '1s'], { env })
  await following.hears(/is not there yet/)
  const file = await open(late, 'w')
  await file.write(bytes(100))
  await file.close()
  t.equal((await following.ended).code, 0)
  t.equal(assets()[1]?.offset, 0, 'nothing was written yet')
})

t.test('so was a file that is stdin', async t => {
  const { env, base, assets, dir } = await setUp(t)
  const path = join(dir, 'clip.mov')
  await writeFile(path, bytes(100))
  await isOld(path, HOUR)
  const command = [process.execPath, CLI, ...base]
  const spawned = { cwd: dir, env: { ...process.env, ...env }, stdio: 'ignore' } as const
  const child = spawn('sh', ['-c', 'exec "$0" "$@" < clip.mov', ...command], spawned)
  const [code] = await once(child, 'close')
  t.equal(code, 0)
  isAbout(t, assets()[0], HOUR)
})
