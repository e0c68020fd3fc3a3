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

/** Makes the names in a folder durable. */
export const syncFolder = async (path: string): Promise<void> => {
  const folder = await openFolder(path)
  await folder.sync().finally(() => folder.close())
}

/** A folder whose names can be made durable later on, however many files are open then. */
export interface OpenFolder {
  sync(): Promise<void>
  close(): Promise<void>
}

export const openFolder = async (path: string): Promise<OpenFolder> => {
  const handle = await open(path, 'r').catch(unlessWindows)
  return {
    sync: async () => {
      await handle?.sync().catch(unlessWindows)
    },
    close: async () => {
      await handle?.close()
    },
  }
}

/** Windows refuses to open a folder for writing, and makes names durable by itself. */
const unlessWindows = (error: NodeJS.ErrnoException): undefined => {
  const { code = '' } = error
  if (process.platform !== 'win32' || !['EPERM', 'EISDIR', 'EACCES'].includes(code)) throw error
}
