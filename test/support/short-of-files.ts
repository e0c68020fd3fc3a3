/**
 * A process that has as many files open as it may, and what it makes of that:
 *
 *   sh -c 'ulimit -n 200; exec "$0" "$@"' node --import tsx short-of-files.ts FILE
 *
 * It writes the file itself, and says what it finds.
 */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { GrownFile } from '../../lib/follow/grown-file.ts'
import { WriterWatch } from '../../lib/follow/writers.ts'
import { lock } from '../../lib/lock.ts'

export const SHORT_OF_FILES = fileURLToPath(import.meta.url)

const say = (...words: unknown[]) => writeSync(1, `${words.join(' ')}\n`)

/** Opens it until no more can be opened. */
const fill = (path: string): number[] => {
  const held: number[] = []
  try {
    for (;;) held.push(openSync(path, 'r'))
  } catch (error) {
    say((error as NodeJS.ErrnoException).code)
    return held
  }
}

/** As on Windows, where a lock is what its file says of a process; here of one that lives. */
const lockWithoutFlock = async (path: string): Promise<void> => {
  writeFileSync(path, JSON.stringify({ pid: process.ppid }))
  Object.defineProperty(process, 'platform', { value: 'win32' })
  const locked = lock(path).then(
    () => 'taken',
    error => error.code,
  )
  say('lock', await locked)
}

if (process.argv[1] === SHORT_OF_FILES) {
  const [path = ''] = process.argv.slice(2)
  const [writer] = [openSync(path, 'r+'), openSync(path, 'r+')]
  const { signal } = new AbortController()
  const file = await GrownFile.open(path, undefined, signal)
  const watch = new WriterWatch(file.id)
  const look = async (now: number) => {
    const { isThere, gone } = await watch.look(now)
    say('writer', isThere, gone !== undefined)
  }
  await look(1_000)
  const held = fill(path)
  await look(2_000)
  closeSync(writer)
  held.push(...fill('/dev/null')) // Its number is another file's now.
  await look(3_000)
  // One is enough for the file of the lock, and too few for whoever locks it.
  closeSync(held.pop() as number)
  const locked = lock(`${path}.lock`).then(
    () => 'taken',
    error => error.code,
  )
  say('lock', await locked)
  await lockWithoutFlock(`${path}.other`)
  fill(path)
  const opening = GrownFile.open(path, undefined, signal)
  setTimeout(() => {
    for (const fd of held) closeSync(fd)
  }, 400)
  const opened = opening.then(
    async file => `${(await file.state()).size} bytes`,
    error => error.message,
  )
  say(await opened)
}
