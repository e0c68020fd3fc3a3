/**
 * Where the bytes of parts go: to a folder, or nowhere.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, renameSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'

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
  /** Makes one file of the parts, in this order, and removes them. */
  assemble(keys: readonly string[], path: string): Promise<Assembled | undefined>
  remove(keys: readonly string[]): Promise<void>
}

/** Parts as files in `dir`, which must exist. */
export const filesIn = (dir: string): PartFiles => {
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
          if (!sink.closed) await once(sink.destroy(), 'close')
          await rm(path, { force: true })
        },
      }
    },
    async assemble(keys, path) {
      const hash = createHash('sha256')
      const draft = fileOf(`${randomUUID()}.draft`)
      await pipeline(async function* () {
        for (const key of keys) {
          for await (const chunk of createReadStream(fileOf(key), { highWaterMark: MiB })) {
            hash.update(chunk)
            yield chunk
          }
        }
      }, createWriteStream(draft))
      await mkdir(dirname(path), { recursive: true })
      await rename(draft, path)
      await remove(keys)
      return { path, sha256: hash.digest('hex') }
    },
  }
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
  remove: async () => {},
}
