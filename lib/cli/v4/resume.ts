/**
 * `--resume DIR --v4 ACCOUNT`: finishes what a folder holds for V4 of takes that were cut off. The token goes
 * where --base-url says, and never where a journal does: that is compared alone.
 */
import { statSync } from 'node:fs'
import { FrameioV4Client } from '../../frameio/v4/client.ts'
import type { FrameioV4ClientOptions } from '../../frameio/v4/options.ts'
import { NO_PROGRESS } from '../../upload/progress.ts'
import { type ResumedV4, resumeV4 } from '../../v4/resume-v4.ts'
import { Display } from '../display.ts'
import { causesOf, messageOf } from '../failures.ts'
import { Output, type Patience } from '../output.ts'
import { Secrets } from '../secrets.ts'
import type { V4ResumeSettings } from '../settings.ts'
import { resumeLine } from '../shell-word.ts'
import { onSignals } from '../signals.ts'
import { UsageError } from '../usage.ts'
import { Waiting } from '../waiting.ts'
import { connectV4 } from './target.ts'
import { adviceFor, messageIn, tell } from './telling.ts'

/** @throws {UsageError} */
export const resumeForV4 = async (
  settings: V4ResumeSettings,
): Promise<'done' | 'failed' | 'aborted'> => {
  const { resume: dir, accountId, json } = settings
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`--resume must be a folder that --spool was; received '${dir}'`)
  }
  const secrets = new Secrets()
  const display = new Display(process.stderr, settings, secrets)
  const aborting = new AbortController()
  const { signal } = aborting
  const abort = () => aborting.abort()
  onSignals(abort, abort)
  const patience: Patience = {
    leaving: signal,
    get isHurried() {
      return signal.aborted
    },
  }
  const output = new Output(json, display, secrets, patience)
  const waiting = new Waiting(display, 'uploaded')
  try {
    const { connection, disconnect } = await connectV4(settings, secrets, waiting)
    const client = openClient({ ...connection, accountId })
    try {
      return await finish(settings, { client, display, output, signal })
    } finally {
      await client.close()
      await disconnect()
    }
  } finally {
    display.stop()
    await display.settle(signal, signal.aborted)
  }
}

/** @throws {UsageError} */
const openClient = (options: FrameioV4ClientOptions): FrameioV4Client => {
  try {
    return new FrameioV4Client(options)
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}

interface Surroundings {
  readonly client: FrameioV4Client
  readonly display: Display
  readonly output: Output
  readonly signal: AbortSignal
}

const finish = async (
  settings: V4ResumeSettings,
  { client, display, output, signal }: Surroundings,
): Promise<'done' | 'failed' | 'aborted'> => {
  const { resume: dir, upload } = settings
  const { concurrency } = upload
  let end: 'done' | 'failed' = 'done'
  let progress = NO_PROGRESS
  display.show(
    () => progress,
    () => Number.POSITIVE_INFINITY,
  )
  const resumed = resumeV4({
    dir,
    client,
    concurrency,
    signal,
    onProgress: now => {
      progress = now
    },
    onEvent: event => tell(event, display, false),
  })
  for await (const one of resumed) {
    if (signal.aborted) break
    if ('error' in one) {
      tellOf(one, settings, display)
      end = 'failed'
    } else if (!(await output.tell(one, lineOf(one)))) end = 'failed'
  }
  if (!signal.aborted) return end
  display.say('aborted', `aborted; what is not done stays in ${dir}`, {}, 'bad')
  return 'aborted'
}

const lineOf = ({ name, bytes, viewUrl }: Exclude<ResumedV4, { error: Error }>): string =>
  [name, `${bytes} bytes`, viewUrl].filter(text => text !== undefined).join('  ')

const tellOf = (
  { folder, name, error }: Extract<ResumedV4, { error: Error }>,
  settings: V4ResumeSettings,
  display: Display,
): void => {
  const { resume: dir, accountId, legacyToken, verbose } = settings
  const { option, code } = error as { option?: unknown; code?: unknown }
  const elsewhere = 'It stays here. --v4 and --base-url must be those of the take.'
  const advice = option === 'client' ? elsewhere : adviceFor(error, legacyToken)
  const message = messageIn(error, resumeLine(dir, settings, accountId))
  const lines = [message, advice, ...(verbose ? causesOf(error) : [])]
  const text = lines.filter(line => line !== undefined).join('\n  ')
  display.say('error', `${name ?? folder}: ${text}`, { folder, name, code }, 'bad')
}
