/**
 * Files of which a power cut leaves the old one or the new one, and never a part of either.
 */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Replaces a file, or makes it: readable by its owner alone, and durable with its name when this is over.
 * One at a time: what a writer leaves that is killed halfway is overwritten by the next.
 */
export const replaceDurably = async (path: string, text: string): Promise<void> => {
  const next = `${path}.new`
  // Whatever lies there may have been made with other rights.
  await rm(next, { force: true })
  const handle = await open(next, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(next, path)
  await syncFolder(dirname(path))
}

/** Windows refuses to open a folder for writing, and makes names durable by itself. */
export const syncFolder = async (path: string): Promise<void> => {
  try {
    const handle = await open(path, 'r')
    await handle.sync().finally(() => handle.close())
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (process.platform !== 'win32' || !['EPERM', 'EISDIR', 'EACCES'].includes(code)) throw error
  }
}
