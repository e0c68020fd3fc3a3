/**
 * The demo proves what it says, and does not say it when it is not so.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/** A guard against hanging, and no more. */
const PATIENCE = 300_000
t.setTimeout(2 * PATIENCE)

const runDemo = (env: Record<string, string>) =>
  new Promise<{ code: unknown; stdout: string; stderr: string }>(resolve => {
    const demo = fileURLToPath(new URL('../examples/demo.ts', import.meta.url))
    const options = { env: { ...process.env, ...env }, timeout: PATIENCE }
    execFile(process.execPath, ['--import=tsx', demo], options, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    )
  })

t.test('the demo ends with a file that is what ffmpeg wrote, and that plays', async t => {
  const { code, stdout, stderr } = await runDemo({ TMPDIR: t.testdir() })
  t.equal(stderr, '')
  t.equal(code, 0)

  const [, parts, early] = /parts +(\d+), (\d+) of them stored before/.exec(stdout) ?? []
  t.ok(Number(parts) >= 5, 'several parts')
  t.ok(Number(early) >= 1, 'some of them stored while ffmpeg was running')
  t.match(stdout, /^ {2}finish +\d+\.\d+ s after the end of the stream$/m)
  t.equal(stdout.match(/ ✔ /g)?.length, 3)
  t.notMatch(stdout, '✘')

  const path = /^\/.+live\.mp4$/m.exec(stdout)?.[0] ?? ''
  const { size } = await stat(path)
  t.ok(size >= 25_000_000, 'at least 25 MB')
  t.match(stdout, `bytes   ${size} `)
  t.equal(Math.ceil(size / (5 * 2 ** 20)), Number(parts))
  const sha256 = createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
  t.match(stdout, `SHA-256: ${sha256}`)
})

t.test(
  'an ffmpeg that fails in the middle fails the demo',
  { skip: process.platform === 'win32' },
  async t => {
    const bin = t.testdir({
      ffmpeg:
        '#!/bin/sh\ncase "$*" in *-encoders*) echo libx264;; *) echo some bytes; exit 69;; esac\n',
    })
    await chmod(join(bin, 'ffmpeg'), 0o755)
    const { code, stdout, stderr } = await runDemo({
      TMPDIR: bin,
      PATH: `${bin}${delimiter}${process.env.PATH}`,
    })
    t.equal(stderr, '\n✘ ffmpeg failed with exit code 69\n')
    t.notMatch(stdout, '✔')
    t.notOk(
      (await readdir(bin)).some(name => name.startsWith('frameio')),
      'nothing is left',
    )
    t.equal(code, 1)
  },
)
