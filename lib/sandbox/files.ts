/**
 * Where the bytes of parts go: to a folder, or nowhere.
 *
 * At each moment every stored byte is in some file, whatever fails: parts become one file in place, each
 * appended to the first and only then removed. So the parts that are left, in order, are the whole.
 */
import { createHash, type Hash, randomUUID } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'

/** The bytes of one PUT, until it is known whether they stay. */
export interface Draft {
  /** Write here. Nothing: bytes need only be counted. */
  readonly sink: Writable | undefined
  /** Ends the sink and waits until every byte is written. */
  finish(): Promise<void>
  /** Puts it in the part's place, at once, replacing what was there. */
  keep(key: string): void
  /** Removes what was not kept. */
  drop(): Promise<void>
}

/** A file made of parts. */
export interface Assembled {
  readonly path: string
  /** In hex. */
  readonly sha256: string
}

export interface PartFiles {
  draft(): Draft
  /**
   * Makes the parts one file, in this order. Where that fails, they are still there, the first perhaps
   * with those in it that came after it: see `find`.
   */
  assemble(keys: readonly string[], path: string): Promise<Assembled | undefined>
  /** Paths of the files of parts whose keys begin like this, in the order of the keys. */
  find(prefix: string): string[]
  remove(keys: readonly string[]): Promise<void>
}

/**
 * Parts as files in `dir`, which must exist.
 *
 * @param isKept Are they to outlive the sandbox? Then nothing is removed before its copy is on the disk:
 *   some disks only say then that they are full.
 */
export const filesIn = (dir: string, isKept: boolean): PartFiles => {
  const fileOf = (key: string) => join(dir, key)
  const remove = async (keys: readonly string[]) => {
    for (const key of keys) await rm(fileOf(key), { force: true })
  }
  return {
    remove,
    draft() {
      const path = fileOf(`${randomUUID()}.draft`)
      const sink = createWriteStream(path, { highWaterMark: MiB })
      return {
        sink,
        async finish() {
          sink.end()
          await finished(sink)
        },
        // Not the asynchronous rename: two PUTs of one part must be noted in the order in which
        // they took its place.
        keep: key => renameSync(path, fileOf(key)),
        async drop() {
          // Not `once`: a write that is cut is an error of the sink's, and the file would stay.
          const closed = new Promise<void>(resolve => sink.once('close', () => resolve()))
          sink.on('error', () => {})
          if (!sink.destroy().closed) await closed
          await rm(path, { force: true })
        },
      }
    },
    find: prefix =>
      (existsSync(dir) ? readdirSync(dir) : [])
        .filter(key => key.startsWith(prefix))
        .sort()
        .map(fileOf),
    async assemble(keys, path) {
      const [first = '', ...rest] = keys.map(fileOf)
      const hash = createHash('sha256')
      const whole = await open(first, 'a+')
      try {
        for await (const chunk of read(first)) hash.update(chunk)
        for (const part of rest) await append(whole, part, { hash, isKept })
      } finally {
        await whole.close()
      }
      await mkdir(dirname(path), { recursive: true })
      await rename(first, path)
      return { path, sha256: hash.digest('hex') }
    },
  }
}

/** Moves the bytes of a file to the end of another. Where that fails, both are as they were. */
const append = async (
  whole: FileHandle,
  part: string,
  { hash, isKept }: { readonly hash: Hash; readonly isKept: boolean },
) => {
  const { size } = await whole.stat()
  try {
    for await (const chunk of read(part)) {
      hash.update(chunk)
      await whole.appendFile(chunk)
    }
    if (isKept) await whole.datasync()
    await rm(part)
  } catch (error) {
    await whole.truncate(size)
    throw error
  }
}

const read = (path: string) => createReadStream(path, { highWaterMark: MiB })

/**
 * Fails before there is anything to lose, where a file could not be made in the end: its name is more
 * than the disk takes, say.
 */
export const tryToMake = (path: string): void => {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true })
  try {
    writeFileSync(path, '')
    rmSync(path)
  } finally {
    rmdirSync(folder)
  }
}

/** Files that make up one, in this order, in words: at most the first and the last by name. */
export const listOf = (files: readonly string[]): string => {
  const [first = ''] = files
  const last = basename(files.at(-1) ?? '')
  return files.length === 1 ? first : `${first} to ${last}, ${files.length} files in this order`
}

const MiB = 2 ** 20

/** Parts that are only counted. */
export const nowhere: PartFiles = {
  draft: () => ({
    sink: undefined,
    finish: async () => {},
    keep: () => {},
    drop: async () => {},
  }),
  assemble: async () => undefined,
  find: () => [],
  remove: async () => {},
}
