/**
 * What a folder holds for V4 of takes that were cut off: a recording in pieces, or a file that was on its way.
 */
import { waitingFiles } from '../../v4/resume.ts'
import { waitingTakes } from '../../v4/waiting-takes.ts'
import type { Display } from '../display.ts'
import { messageOf } from '../failures.ts'
import { showSize, showTime } from '../units.ts'

export interface Unfinished {
  /** What it is called; that of its folder where that cannot be told. */
  readonly name: string
  readonly folder: string
  /** What lies here, and what Frame.io has. */
  readonly bytes: number
  readonly files: number
  readonly filesStored: number
  readonly lockedBy: number | undefined
  readonly error: Error | undefined
  /** When it was last worked on, in ms since the epoch; undefined where that is not known. */
  readonly changedAt: number | undefined
}

/** The folder need not be there. */
export const unfinishedIn = async (dir: string): Promise<readonly Unfinished[]> => {
  const [takes, files] = await Promise.all([waitingTakes(dir), waitingFiles(dir)])
  return [
    ...takes.map(({ name, folder, bytes, pieces, piecesStored, ...rest }) => ({
      ...rest,
      name: name ?? folder,
      folder,
      bytes,
      files: pieces,
      filesStored: piecesStored,
    })),
    ...files.map(({ name, folder, bytes, lockedBy, error }) => ({
      name: name ?? folder,
      folder,
      bytes,
      files: 1,
      filesStored: 0,
      lockedBy,
      error,
      changedAt: undefined,
    })),
  ]
}

export const factsOf = ({ error, ...seen }: Unfinished) => ({
  ...seen,
  error: error && messageOf(error),
})

export const lineOf = (one: Unfinished): string => {
  const { name, bytes, files, filesStored, changedAt, lockedBy, error } = one
  return [
    `${name} (V4)`,
    `${showSize(bytes)} here`,
    `${filesStored} of ${files} ${files === 1 ? 'file' : 'files'} stored`,
    ...(changedAt === undefined
      ? []
      : [`${showTime(Math.max(0, Date.now() - changedAt) / 1_000)} old`]),
    ...(lockedBy === undefined ? [] : [`process ${lockedBy} is working on it`]),
    ...(error ? [messageOf(error)] : []),
  ].join('  ')
}

/** Takes that are named one by one. */
const NAMED = 3

/** When a take begins: somebody should finish those before it. @param line that does so */
export const nameUnfinished = async (
  dir: string,
  line: string,
  display: Display,
): Promise<void> => {
  // What cannot be read is no reason to record nothing.
  const all = await unfinishedIn(dir).catch(() => [])
  const unfinished = all.filter(({ lockedBy }) => lockedBy === undefined)
  if (unfinished.length === 0) return
  const named = unfinished
    .slice(0, NAMED)
    .map(({ name, bytes }) => `${name} (${showSize(bytes)})`)
    .join(', ')
  const more = unfinished.length > NAMED ? ` and ${unfinished.length - NAMED} more` : ''
  const text = `${dir} holds takes that were cut off: ${named}${more}. This finishes them: ${line}`
  display.say('unfinished', text, { folders: unfinished.map(({ folder }) => folder) })
}
