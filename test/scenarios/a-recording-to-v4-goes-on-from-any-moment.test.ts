/**
 * A recording to V4 whose process dies, by kill -9, at each moment that matters: whoever goes on makes of each piece
 * one file, and of none two.
 */
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { resumeV4 } from '../../lib/index.ts'
import { folderFor } from '../support/sandboxes.ts'
import { run } from '../support/take-kills.ts'
import { filesOf, filmIn, namesOf } from '../support/takes.ts'
import { putsOf, v4ClientFor, v4For } from '../support/v4.ts'

/** A guard against hanging, and no more. */
t.setTimeout(300_000)

const folder = t.testdir()
const { film, pieces } = await filmIn(folder)
const path = join(folder, 'film.ts')
await writeFile(path, film)

/** What is told of, and how often it was when it dies. `stored`: S3 has all of a piece, and no journal says so. */
const MOMENTS = [
  'begin 1',
  'piece 1',
  'piece 3',
  'part 1',
  'part 4',
  'stored 1',
  'stored 2',
  'file 1',
  'file 3',
]

for (const DIE of MOMENTS) {
  t.test(DIE, async t => {
    const sandbox = await v4For(t, { v4: { sliceSize: 100_000 } })
    const dir = await folderFor(t)
    const { url, token, v4 } = sandbox
    const where = [url, token, v4.accountId, v4.folderId, dir]
    const { isKilled } = await run(['record', ...where, path, '1000'], Infinity, { DIE })
    t.ok(isKilled)
    const whole = v4.files.filter(({ status }) => status === 'uploaded').map(({ id }) => id)
    const told: string[] = []
    for await (const one of resumeV4({ dir, client: v4ClientFor(t, sandbox) })) {
      t.notOk('error' in one, 'error' in one ? one.error.message : '')
      told.push(one.name ?? '')
    }
    t.strictSame(await readdir(dir), [])
    const found = await filesOf(sandbox)
    t.strictSame(
      found.map(([name]) => name),
      namesOf(found.length),
      'each file once',
    )
    t.strictSame(told, namesOf(found.length), 'and each is told of')
    for (const [index, [name, bytes]] of found.entries()) {
      const wanted = pieces[index]?.subarray(0, bytes.length)
      t.ok(wanted?.equals(bytes), `${name} is what was recorded`)
    }
    for (const id of whole) {
      const { parts = [] } = sandbox.asset(id) ?? {}
      t.equal(
        putsOf(sandbox, id).length,
        parts.length,
        'what was whole stays, and is not sent again',
      )
    }
  })
}
