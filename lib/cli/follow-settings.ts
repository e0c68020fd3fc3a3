/**
 * What `--follow FILE` was given: a file that another program writes, and how to tell when it is over.
 */
import { accessSync, constants, type Stats, statSync } from 'node:fs'
import type { Verify } from '../follow/options.ts'
import type { Values } from './flags.ts'
import { isThere } from './process-watch.ts'
import { UsageError } from './usage.ts'

export interface FollowSettings {
  readonly file: string
  /** In ms. */
  readonly idle: number | undefined
  /** A process: the file is over when it is gone. */
  readonly untilPid: number | undefined
  readonly verify: Verify | undefined
}

/** What has no meaning without it. */
const ITS_OWN = ['idle', 'until-pid', 'verify'] as const
const A_FOLDERS = ['match', 'once'] as const

/** What has no meaning beside it, and why. */
const STRANGERS = {
  memory: 'nothing is held in memory',
  'spool-max': 'the file itself is the spool, and all that is kept in DIR is what went up',
  'keep-free': 'the file itself is the spool, and all that is kept in DIR is what went up',
  'keep-spool': 'the file itself stays',
  'spool-overflow': 'memory holds nothing that could overflow',
  'on-producer-failure': 'there is no program',
  'producer-log': 'there is no program',
} as const

/** @throws {UsageError} */
export const followOf = (
  values: Values,
  producer: readonly [command: string, ...args: string[]] | undefined,
): FollowSettings | undefined => {
  const { follow: file, idle, 'until-pid': untilPid, verify } = values
  const folders = A_FOLDERS.find(name => values[name] !== undefined)
  if (folders) throw new UsageError(`--${folders} has no meaning without --follow and a folder`)
  if (file === undefined) {
    const stranger = ITS_OWN.find(name => values[name] !== undefined)
    if (stranger) throw new UsageError(`--${stranger} has no meaning without --follow FILE`)
    return undefined
  }
  if (producer) {
    const rule = 'what another program writes, so no program stands behind --'
    throw new UsageError(`--follow uploads ${rule}; received ${producer[0]}`)
  }
  for (const [name, why] of Object.entries(STRANGERS)) {
    if (values[name as keyof typeof STRANGERS] === undefined) continue
    throw new UsageError(`--${name} has no meaning with --follow: ${why}`)
  }
  checkFile(file)
  if (untilPid !== undefined && !isThere(untilPid)) {
    throw new UsageError(`--until-pid must be a process that runs; received ${untilPid}`)
  }
  return { file, idle, untilPid, verify }
}

/** What is not there yet is waited for. @throws {UsageError} */
const checkFile = (file: string): void => {
  const stats = look(file)
  if (!stats) return
  if (!stats.isFile()) throw unfit(`${file}, which is none`)
  try {
    accessSync(file, constants.R_OK)
  } catch (error) {
    throw unfit((error as Error).message)
  }
}

const look = (file: string): Stats | undefined => {
  try {
    return statSync(file, { throwIfNoEntry: false })
  } catch (error) {
    throw unfit((error as Error).message)
  }
}

const unfit = (received: string): UsageError =>
  new UsageError(`--follow must be a regular file that can be read; received ${received}`)
