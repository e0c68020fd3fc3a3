/**
 * One at a time works on what a lock file stands for: with flock(1), and where there is none.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { holderOf, lock } from '../lib/lock.ts'

const pathFor = async (t: Tap): Promise<string> => {
  const dir = await mkdtemp(join(tmpdir(), 'lock-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'lock')
}

type Tap = Pick<typeof t, 'teardown'>

const withoutFlock = (t: Tap): void => {
  const { PATH } = process.env
  process.env.PATH = '/nowhere'
  t.teardown(() => {
    process.env.PATH = PATH
  })
}

for (const hasFlock of [true, false]) {
  t.test(`${hasFlock ? 'with' : 'without'} flock`, async t => {
    if (!hasFlock) withoutFlock(t)

    t.test('one process has it once', async t => {
      const path = await pathFor(t)
      const tries = await Promise.allSettled([lock(path), lock(path), lock(path)])
      const [first, ...others] = tries.flatMap(one => (one.status === 'fulfilled' ? one.value : []))
      t.strictSame(others, [])
      for (const { reason } of tries.filter(one => one.status === 'rejected')) {
        t.match(reason, { code: 'ERR_SPOOL_IN_USE', path })
      }
      t.equal(await holderOf(path), process.pid)
      await first?.release()
      await (await lock(path)).release()
    })

    t.test('a lock that was given back names nobody, though the file stays', async t => {
      const path = await pathFor(t)
      await (await lock(path)).release()
      t.equal(await holderOf(path), undefined)
      t.notMatch(await readFile(path, 'utf8'), String(process.pid))
    })

    t.test('an earlier life with the same number has none', async t => {
      const path = await pathFor(t)
      await writeFile(path, JSON.stringify({ pid: process.pid, began: '1' }))
      t.equal(await holderOf(path), undefined)
      await (await lock(path)).release()
    })
  })
}
