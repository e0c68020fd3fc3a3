/**
 * Folders that are made on the way, so that what comes to nothing leaves none behind.
 */
import { mkdir, rmdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder, and those above it that are missing. Not Node's `recursive`, which never ends where
 * a file system takes no folders and says that there is none, as /proc does.
 *
 * @returns those that were made, the outermost first
 */
export const makeFolder = async (path: string): Promise<readonly string[]> => {
  if (await isFolder(path)) return []
  const parent = dirname(path)
  const made = parent === path ? [] : await makeFolder(parent)
  try {
    await mkdir(path)
    return [...made, path]
  } catch (error) {
    if (await isFolder(path)) return made // By another, just now.
    await removeEmpty(made)
    throw error
  }
}

const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false // Whoever makes it learns why.
  }
}

/** Removes those that are empty, the innermost first. */
export const removeEmpty = async (folders: readonly string[]): Promise<void> => {
  for (const folder of folders.toReversed()) {
    try {
      await rmdir(folder)
    } catch {
      return // Something is in it, which stays: so do those above.
    }
  }
}
