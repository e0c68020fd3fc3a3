/**
 * A process that has as many files open as it may: what it cannot look at it does not take for gone.
 */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { folderFor } from './support/sandboxes.ts'
import { SHORT_OF_FILES } from './support/short-of-files.ts'

const NO_PROC = process.platform !== 'linux' && 'who writes a file is seen on Linux alone'

t.test(
  'it waits for a file, knows the writers it knew, and takes no lesser lock',
  { skip: NO_PROC },
  async t => {
    const path = join(await folderFor(t), 'A001.wav')
    await writeFile(path, 'abc')
    const limited = ['-c', 'ulimit -n 200; exec "$0" "$@"', process.execPath]
    const said = await new Promise<string>(resolve => {
      const args = [...limited, '--import=tsx', SHORT_OF_FILES, path]
      execFile('sh', args, { timeout: 100_000 }, (error, stdout, stderr) =>
        resolve(`${stdout}${stderr}${error ?? ''}`),
      )
    })
    t.strictSame(said.split('\n'), [
      'writer true false',
      'EMFILE',
      'writer true false',
      'EMFILE',
      'writer true false',
      'lock EMFILE',
      'lock ERR_SPOOL_IN_USE',
      'EMFILE',
      '3 bytes',
      '',
    ])
  },
)
