/**
 * Who has a file open for writing, with real processes.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, open, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type FileId, findWriter, isWriter, WriterWatch } from '../lib/follow/writers.ts'

const NO_PROC = !existsSync('/proc/self/fdinfo') && 'no /proc here: no writer is ever seen'

/** A process that opens and closes as it is told, in the manner of a recorder. */
const PROCESS = `
const fs = require('node:fs')
let fd
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const [what, path] = line.split(' ')
  if (what === 'close') fs.closeSync(fd)
  else fd = fs.openSync(path, what)
  console.log('done')
})`

interface Teardown {
  teardown(fn: () => unknown): void
}

const recorder = (t: Teardown) => {
  const child = spawn(process.execPath, ['--eval', PROCESS], { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = new Promise(resolve => child.once('close', resolve))
  t.teardown(() => {
    child.kill()
    return closed
  })
  return {
    pid: String(child.pid),
    kill: () => {
      child.kill('SIGKILL')
      return closed
    },
    does: (line: string) =>
      new Promise<void>(resolve => {
        child.stdout.once('data', () => resolve())
        child.stdin.write(`${line}\n`)
      }),
  }
}

/** A file, which this process has open for reading alone, as a follower does. */
const setUp = async (t: Teardown, root = tmpdir()) => {
  const dir = await mkdtemp(join(root, 'writers-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const path = join(dir, 'A001.mov')
  await writeFile(path, 'x')
  const handle = await open(path, 'r')
  t.teardown(() => handle.close())
  const { dev, ino } = await handle.stat({ bigint: true })
  const file: FileId = { dev, ino }
  return { dir, path, file, recorder: recorder(t) }
}

t.test('who writes it is found, in another process', { skip: NO_PROC }, async t => {
  const { path, file, recorder } = await setUp(t)
  t.equal(await findWriter(file), undefined, 'who reads it is no writer: this process does')
  for (const flags of ['w', 'r+', 'a', 'a+']) {
    await recorder.does(`${flags} ${path}`)
    const found = await findWriter(file)
    t.equal(found?.pid, recorder.pid, flags)
    t.equal(found && isWriter(found, file), true)
    await recorder.does('close')
    t.equal(found && isWriter(found, file), false)
  }
  await recorder.does(`r ${path}`)
  t.equal(await findWriter(file), undefined, 'nor is another who reads')
})

const NO_SHM = !existsSync('/dev/shm') && 'no /dev/shm here'

t.test('a file in memory is one as well', { skip: NO_PROC || NO_SHM }, async t => {
  const { path, file, recorder } = await setUp(t, '/dev/shm')
  await recorder.does(`w ${path}`)
  t.equal((await findWriter(file))?.pid, recorder.pid)
})

t.test('who writes another file is no writer of this one', { skip: NO_PROC }, async t => {
  const { dir, file, recorder } = await setUp(t)
  await recorder.does(`w ${join(dir, 'other.mov')}`)
  t.equal(await findWriter(file), undefined)
})

t.test('a file is known whatever its name becomes', { skip: NO_PROC }, async t => {
  const { path, file, recorder } = await setUp(t)
  await recorder.does(`r+ ${path}`)
  await rename(path, `${path}.done`)
  await writeFile(path, 'another')
  t.equal((await findWriter(file))?.pid, recorder.pid, 'renamed, and replaced')
  await unlink(`${path}.done`)
  t.equal((await findWriter(file))?.pid, recorder.pid, 'removed')
})

t.test('a watch tells who came, who went, and who came back', { skip: NO_PROC }, async t => {
  const { path, file, recorder } = await setUp(t)
  const watch = new WriterWatch(file)
  // Times far apart: how often it may search depends on how long a search takes.
  const nobody = { isThere: false, since: undefined, gone: undefined, returns: 0 }
  t.strictSame(await watch.look(0), nobody)
  await recorder.does(`r+ ${path}`)
  const there = { isThere: true, since: 100_000, gone: undefined, returns: 0 }
  t.strictSame(await watch.look(100_000), there)
  t.strictSame(await watch.look(100_001), there)
  await recorder.does('close')
  const first = { first: 200_000, last: 200_000 }
  t.strictSame(await watch.look(200_000), { ...there, isThere: false, gone: first })
  const gone = { first: 200_000, last: 300_000 }
  t.strictSame(await watch.look(300_000), { ...there, isThere: false, gone })
  await recorder.does(`a ${path}`)
  t.strictSame(await watch.look(400_000), { ...there, returns: 1 }, 'opened again')
  await recorder.kill()
  const last = { first: 500_000, last: 500_000 }
  const killed = { ...there, isThere: false, gone: last, returns: 1 }
  t.strictSame(await watch.look(500_000), killed, 'killed')
})

t.test('where one of two writers closes, the other is seen at once', { skip: NO_PROC }, async t => {
  const { path, file, recorder: one } = await setUp(t)
  const other = recorder(t)
  await one.does(`r+ ${path}`)
  await other.does(`r+ ${path}`)
  const watch = new WriterWatch(file)
  await watch.look(0)
  await one.does('close')
  t.match(await watch.look(1), { isThere: true, gone: undefined, returns: 0 })
  await other.does('close')
  t.match(await watch.look(2), { isThere: false, gone: { first: 2, last: 2 } })
})

t.test('that nobody is seen is not looked for all the time', { skip: NO_PROC }, async t => {
  const { path, file, recorder } = await setUp(t)
  const watch = new WriterWatch(file)
  await watch.look(0)
  await recorder.does(`r+ ${path}`)
  t.match(await watch.look(199), { isThere: false })
})
