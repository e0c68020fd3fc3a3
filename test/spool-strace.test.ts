/**
 * A system whose calls fail, by strace: what the disk that is played in spool-faults cannot show.
 */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { RECORDED, RECORDER, recorded } from './support/recorder.ts'
import { sandboxFor, sha256, until } from './support/sandboxes.ts'

const MISSING =
  spawnSync('strace', ['-o', '/dev/null', 'true']).status !== 0 &&
  'strace is not here, or may not trace'
const LENGTH = 700_000
const SEED = 7

/** A take in a process of which system calls fail, and what it said. */
const takeUnder = (args: readonly string[], inject: string, paths: readonly string[] = []) =>
  new Promise<string>(resolve => {
    const strace = [
      '-f',
      '-o',
      '/dev/null',
      '-e',
      `trace=${inject.split(':')[0]}`,
      '-e',
      `inject=${inject}`,
      ...paths.flatMap(path => ['-P', path]),
    ]
    const command = [...strace, process.execPath, '--import=tsx', RECORDER, ...args]
    // strace counts by thread: with one for the disk its counts are those of the process.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' }
    execFile('strace', command, { env, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve(`${stdout}${stderr}${error ?? ''}`),
    )
  })

t.test('the upload is whole, and what failed is said once', { skip: MISSING }, async t => {
  const rows: [inject: string, code: string, ...only: string[]][] = [
    ['fdatasync:error=EIO:when=9', 'SPOOL_FAILED'],
    ['fdatasync:error=EDQUOT:when=12+', 'SPOOL_FAILED'],
    ['pwrite64,pwritev:error=EIO:when=16', 'SPOOL_FAILED'],
    [
      'pwrite64,pwritev:error=ENOSPC:when=20..60',
      'SPOOL_FULL(,SPOOL_FULL)*(,SPOOL_FAILED)?|SPOOL_FAILED',
    ],
    // What is opened last: a part, and the folder that makes its name durable.
    ['openat:error=EMFILE:when=1', 'SPOOL_FULL', '/00003.part'],
    ['openat:error=EMFILE:when=6', 'SPOOL_FULL', ''],
  ]
  for (const [inject, code, ...only] of rows) {
    const sandbox = await sandboxFor(t, {}, RECORDED)
    const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
    const dir = await mkdtemp(join(tmpdir(), 'strace-'))
    t.teardown(() => rm(dir, { recursive: true, force: true }))
    const args = ['record', sandbox.url, sandbox.token, dir, asset.id, String(SEED), String(LENGTH)]
    const paths = only.map(name => join(dir, asset.id) + name)
    const said = await takeUnder(args, inject, paths)
    t.match(said, /^finished$/m, said.slice(-500))
    const warnings = said.match(/^SPOOL_\w+$/gm) ?? []
    t.match(warnings.join(), new RegExp(`^(${code})$`), inject)
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(recorded(SEED, 0, LENGTH)), inject)
  }
})

t.test('a file that cannot be read is named, and stays', { skip: MISSING }, async t => {
  const sandbox = await sandboxFor(t, {}, RECORDED)
  const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const dir = await mkdtemp(join(tmpdir(), 'strace-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const files = Array.from({ length: 9 }, (_, i) => join(dir, asset.id, `0000${i + 1}.part`))
  // Until memory has let go of all but the last parts.
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  const release = until(() => existsSync(files[8] as string), 'nine parts')
  void release.then(() => sandbox.faults.clear())
  const memory = 4 * 64 * 1024
  const where = [sandbox.url, sandbox.token, dir]
  const args = ['record', ...where, asset.id, `${SEED}`, `${LENGTH}`, `${memory}`]
  const said = await takeUnder(args, 'pread64:error=EIO', files)
  await release
  // Which of them is sent from the disk first is chance.
  const [, number = ''] =
    /^ERR_SPOOL_DAMAGED .*0000(\d)\.part cannot be read at byte 0: EIO/m.exec(said) ?? []
  t.ok(number, said.slice(-900))
  t.ok((await stat(files[Number(number) - 1] ?? '')).size > 0)
  t.equal(asset.status, 'created')
})
