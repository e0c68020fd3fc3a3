/**
 * Recordings to V4: a film, as it comes and as it is cut, and what a sandbox has of it.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sandbox } from '../../lib/sandbox/index.ts'
import { cutUp, makeMaster, piped } from './pieces.ts'
import { chunked } from './sandboxes.ts'

/** A film of a minute as MPEG-TS, and its pieces of ten seconds. */
export const filmIn = async (folder: string) => {
  const film = await piped(await makeMaster(folder), ['-f', 'mpegts'])
  const { pieces } = cutUp(chunked(film, 65_536))
  return { film, pieces }
}

/** It comes in chunks, a little time apart. */
export async function* slowly(film: Buffer, chunk = 16_384, ms = 5): AsyncGenerator<Buffer> {
  for (const part of chunked(film, chunk)) {
    yield part
    await wait(ms)
  }
}

/** Names and bytes of what is there, in the order of names; each must be complete. */
export const filesOf = async ({ v4 }: Sandbox): Promise<[string, Buffer][]> => {
  const found: [string, Buffer][] = []
  for (const file of v4.files) {
    await file.whenUploaded()
    found.push([file.name, await readFile(file.path as string)])
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The names that pieces get. */
export const namesOf = (count: number, stem = 'A001', extension = '.ts'): string[] =>
  Array.from({ length: count }, (_, n) => `${stem}_${String(n + 1).padStart(3, '0')}${extension}`)
