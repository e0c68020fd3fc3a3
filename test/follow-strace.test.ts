/**
 * No writer is disturbed: a file that is followed is opened for reading alone, and never locked.
 */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { FOLLOWER } from './support/follower.ts'
import { bytes, SMALL, sandboxFor, sha256, targetIn } from './support/sandboxes.ts'

const NO_STRACE =
  spawnSync('strace', ['-o', '/dev/null', 'true']).status !== 0 &&
  'strace is not here, or may not trace'

t.test('it opens the file to read, and locks nothing', { skip: NO_STRACE }, async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { asset } = targetIn(sandbox)
  const dir = await mkdtemp(join(tmpdir(), 'follow-strace-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const [file, log] = [join(dir, 'A001.mov'), join(dir, 'calls')]
  const all = bytes(5_500)
  await writeFile(file, all)
  const calls =
    'trace=open,openat,openat2,creat,flock,fcntl,truncate,ftruncate,rename,unlink,utimensat,chmod'
  const args = ['-f', '-y', '-o', log, '-e', calls, process.execPath, '--import=tsx', FOLLOWER]
  await new Promise<void>((resolve, reject) => {
    const command = [...args, sandbox.url, sandbox.token, asset.id, file]
    execFile('strace', command, { timeout: 100_000 }, error => (error ? reject(error) : resolve()))
  })
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(all))
  const lines = (await readFile(log, 'utf8')).split('\n').filter(line => line.includes(file))
  const opened = lines.filter(line => /\bopen(at|at2)?\(/.test(line))
  t.ok(opened.length > 0, 'it is seen as it opens the file')
  for (const line of opened) {
    t.match(line, /O_RDONLY/)
    t.notMatch(line, /O_(WRONLY|RDWR|CREAT|TRUNC)/)
  }
  const others = lines.filter(line => !opened.includes(line) && !/F_(GET|SET|DUP)F[DL]/.test(line))
  t.strictSame(others, [], 'nothing else is done to it')
})
