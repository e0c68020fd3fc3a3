/**
 * One process at a time works on the spool of an upload, or on a file of tokens.
 *
 * Linux: flock(1), run as a child that inherits our descriptor, locks the open file, which is ours: the
 * lock ends with this process, however that ends, and holds across containers. Where there is no flock,
 * a lock file that names a process which is gone counts as free: by its number and when it began.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RealtimeUploadError } from './errors.ts'
import { shortageIn } from './shortage.ts'

export interface Lock {
  /** Harmless when called twice. */
  release(): Promise<void>
}

/** The locks that this process has: what their files say of it, others read. */
const ours = new Set<string>()

/** macOS: O_EXLOCK, which Node does not name. */
const O_EXLOCK = 0x20

/**
 * @param what it stands for, as a message says it
 * @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE`, naming the process that has it
 */
export const lock = async (path: string, what = 'this spool'): Promise<Lock> => {
  for (;;) {
    const handle = await openLocked(path, what)
    try {
      if (await isStill(path, handle)) {
        const owner = JSON.stringify({ pid: process.pid, began: await beganAt(process.pid) })
        // Nothing is awaited between: two of this process may have come so far, where there is no flock.
        if (ours.has(resolve(path))) throw inUse(path, owner, what)
        ours.add(resolve(path))
        let released: Promise<void> | undefined
        const lock: Lock = {
          release() {
            released ??= release(path, handle)
            return released
          },
        }
        await write(handle, owner).catch(async error => {
          await lock.release()
          throw error
        })
        return lock
      }
    } catch (error) {
      await handle.close()
      throw error
    }
    // Whoever had it has removed it in this very moment: another file has the name now, or none.
    await handle.close()
  }
}

const write = async (handle: FileHandle, owner: string): Promise<void> => {
  await handle.truncate(0)
  await handle.write(owner, 0)
}

/** The file may stay, and this process go on for days: nobody must take it for the owner. */
const release = async (path: string, handle: FileHandle): Promise<void> => {
  try {
    await handle.truncate(0)
  } finally {
    ours.delete(resolve(path))
    await handle.close()
  }
}

const openLocked = async (path: string, what: string): Promise<FileHandle> => {
  const flags = constants.O_RDWR | constants.O_CREAT
  if (process.platform === 'darwin') {
    return open(path, flags | O_EXLOCK | constants.O_NONBLOCK, 0o600).catch(error => {
      if (error.code === 'EAGAIN') throw inUse(path, '', what)
      throw error
    })
  }
  const handle = await open(path, flags, 0o600)
  try {
    const isLocked = process.platform === 'linux' ? await flock(handle) : undefined
    const said = await handle.readFile('utf8').catch(() => '')
    if (isLocked === false) throw inUse(path, said, what)
    if (isLocked === undefined && (await isAlive(path, said))) throw inUse(path, said, what)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Undefined where there is no such program. */
const flock = (handle: FileHandle): Promise<boolean | undefined> =>
  new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', handle.fd],
      env: { PATH: process.env.PATH },
    })
    child.once('error', error => {
      // It may be there all the same, and others lock with it.
      if (shortageIn(error) === undefined) resolve(undefined)
      else reject(error)
    })
    child.once('exit', (code, signal) => {
      if (code === 0) resolve(true)
      else if (code === 1) resolve(false)
      else reject(new Error(`flock failed: ${signal ?? `exit code ${code}`}`))
    })
  })

/** Has the path still this file? */
const isStill = async (path: string, handle: FileHandle): Promise<boolean> => {
  const [ours, theirs] = await Promise.all([handle.stat(), stat(path).catch(() => undefined)])
  return theirs !== undefined && theirs.ino === ours.ino && theirs.dev === ours.dev
}

interface Owner {
  readonly pid: number
  readonly began: string | undefined
}

const ownerIn = (said: string): Owner | undefined => {
  try {
    const owner = JSON.parse(said)
    return Number.isInteger(owner.pid) ? owner : undefined
  } catch {
    return undefined // Its owner is about to write it, or died before.
  }
}

const isAlive = async (path: string, said: string): Promise<boolean> => {
  const owner = ownerIn(said)
  if (!owner) return false
  // In a container each life of a program may have the same number.
  if (owner.pid === process.pid) return ours.has(resolve(path))
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const began = await beganAt(owner.pid)
  return began === undefined || owner.began === undefined || began === owner.began
}

/** When a process began, in the system's own words; undefined where it does not say. */
const beganAt = async (pid: number): Promise<string | undefined> => {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The name, which stands in brackets, may hold anything.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

/** The process that has a lock, as far as its file tells; undefined where nobody has. */
export const holderOf = async (path: string): Promise<number | undefined> => {
  const said = await readFile(path, 'utf8').catch(() => '')
  return (await isAlive(path, said)) ? ownerIn(said)?.pid : undefined
}

const inUse = (path: string, said: string, what: string): RealtimeUploadError => {
  const pid = ownerIn(said)?.pid
  const who = pid === undefined ? 'another process' : `process ${pid}`
  return new RealtimeUploadError('ERR_SPOOL_IN_USE', `${who} is working on ${what} (${path})`, {
    path,
  })
}
