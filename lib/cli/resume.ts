/**
 * `--resume DIR`: finishes what a spool holds of takes that were cut off, or shows it.
 */
import { statSync } from 'node:fs'
import { FrameioClient } from '../frameio/client.ts'
import { DEFAULT_CAP, resolveClientOptions } from '../frameio/options.ts'
import { type Resumed, resumeUploads } from '../sources/resume.ts'
import { listUploads, type Waiting as Unfinished } from '../spool/list.ts'
import { keptIncomplete } from '../upload/warnings.ts'
import { connect } from './account.ts'
import { Display } from './display.ts'
import { adviceOn, causesOf, messageOf } from './failures.ts'
import { Output, type Patience } from './output.ts'
import { Secrets } from './secrets.ts'
import type { ResumeSettings } from './settings.ts'
import { resumeLine } from './shell-word.ts'
import { onSignals } from './signals.ts'
import { showSize, showTime } from './units.ts'
import { UsageError } from './usage.ts'
import * as v4 from './v4/unfinished.ts'
import { Waiting } from './waiting.ts'

/** How it ended. One take that cannot be finished does not keep the next from being tried. */
export type ResumeEnd = 'done' | 'failed' | 'producerFailed' | 'aborted'

/** @throws {UsageError} */
export const resumeTakes = async (settings: ResumeSettings): Promise<ResumeEnd> => {
  const { resume: dir, list, json } = settings
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`--resume must be a folder that --spool was; received '${dir}'`)
  }
  const secrets = new Secrets()
  const display = new Display(process.stderr, settings, secrets)
  const aborting = new AbortController()
  const abort = () => aborting.abort()
  onSignals(abort, abort)
  const patience: Patience = {
    leaving: aborting.signal,
    get isHurried() {
      return aborting.signal.aborted
    },
  }
  const output = new Output(json, display, secrets, patience)
  try {
    if (list) return await show(dir, output)
    checkConnection(settings)
    return await finish(settings, { secrets, display, output, signal: aborting.signal })
  } finally {
    display.stop()
    await display.settle(aborting.signal, aborting.signal.aborted)
  }
}

/** What the library would refuse once the token was read. @throws {UsageError} */
const checkConnection = ({ upload }: ResumeSettings): void => {
  const { baseUrl, device, memoryLimit, retry } = upload
  try {
    resolveClientOptions({ token: 'unknown', baseUrl, device, memoryLimit, retry })
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}

const show = async (dir: string, output: Output): Promise<ResumeEnd> => {
  let isTold = true
  for (const upload of await listUploads(dir)) {
    isTold = (await output.tell(factsOf(upload), lineOf(upload))) && isTold
  }
  for (const take of await v4.unfinishedIn(dir)) {
    isTold = (await output.tell(v4.factsOf(take), v4.lineOf(take))) && isTold
  }
  return isTold ? 'done' : 'failed'
}

const factsOf = ({ opening, error, ...seen }: Unfinished) => ({
  ...seen,
  name: opening?.assetName,
  filetype: opening?.filetype,
  origin: opening?.origin,
  error: error && messageOf(error),
})

const lineOf = (upload: Unfinished): string => {
  const { assetId, opening, file, bytes, bytesStored, changedAt, lockedBy, error } = upload
  const name = file ?? opening?.assetName
  return [
    assetId,
    `${showSize(bytes)} here`,
    `${showSize(bytesStored)} stored`,
    `${showTime(Math.max(0, Date.now() - changedAt) / 1_000)} old`,
    ...(name === undefined ? [] : [name]),
    ...(lockedBy === undefined ? [] : [`process ${lockedBy} is working on it`]),
    ...(error ? [messageOf(error)] : []),
  ].join('  ')
}

interface Surroundings {
  readonly secrets: Secrets
  readonly display: Display
  readonly output: Output
  readonly signal: AbortSignal
}

const finish = async (
  settings: ResumeSettings,
  { secrets, display, output, signal }: Surroundings,
): Promise<ResumeEnd> => {
  const { resume: dir, upload, idle } = settings
  const { memoryLimit, retry, concurrency } = upload
  const waiting = new Waiting(display, 'uploaded')
  const { connection, disconnect } = await connect(settings, secrets, waiting)
  const cap = Math.max(concurrency ?? 0, DEFAULT_CAP)
  const client = new FrameioClient({ ...connection, retry, memoryLimit, concurrency: cap })
  let end: ResumeEnd = 'done'
  await sayOfV4(settings, display)
  try {
    const onUpload = (upload: Parameters<Display['watch']>[0] & { assetId: string }) => {
      const { bytesReceived, bytesBuffered } = upload.progress
      const text = `asset ${upload.assetId}: ${showSize(bytesBuffered)} of ${showSize(bytesReceived)} are to be sent`
      display.say('resuming', text, { assetId: upload.assetId, bytes: bytesBuffered })
      display.watch(upload, () => Number.POSITIVE_INFINITY)
    }
    const follow = { idle }
    for await (const one of resumeUploads({ dir, client, concurrency, follow, onUpload, signal })) {
      display.stop()
      if (signal.aborted) break
      if ('error' in one) tellOf(one, display, settings)
      else if (one.kept && one.kept.missing.length > 0) {
        const { code, message } = keptIncomplete(one.kept)
        display.say('warning', message, { code })
      }
      const isTold = 'error' in one || (await output.tell(one, lineFor(one)))
      if ('error' in one || !isTold) end = 'failed'
      else if (one.isUnfinished && end === 'done') end = 'producerFailed'
    }
    if (!signal.aborted) return end
    display.say('aborted', `aborted; what is not done stays in ${dir}`, {}, 'bad')
    return 'aborted'
  } finally {
    await client.close()
    await disconnect()
  }
}

/** Of the takes that others are for. */
const sayOfV4 = async (
  { resume: dir, upload: { baseUrl } }: ResumeSettings,
  display: Display,
): Promise<void> => {
  const takes = await v4.unfinishedIn(dir)
  if (takes.length === 0) return
  const line = resumeLine(dir, { upload: { baseUrl } }, 'ACCOUNT')
  const text = `${dir} holds ${takes.length} for V4 as well: ${line} finishes them`
  display.say('v4', text, { folders: takes.map(({ folder }) => folder) })
}

const lineFor = ({ assetId, bytes, parts, kept }: Exclude<Resumed, { error: Error }>): string =>
  bytes === 0
    ? `${assetId}  is empty: nothing of it is here`
    : [assetId, `${bytes} bytes`, `${parts} parts`, ...(kept ? [kept.path] : [])].join('  ')

const tellOf = (
  { assetId, error }: Extract<Resumed, { error: Error }>,
  display: Display,
  { verbose, credentials }: ResumeSettings,
): void => {
  const { option, code } = error as { option?: unknown; code?: unknown }
  const elsewhere =
    'It stays here. --base-url and --device must be those of the take; the server of a --sandbox is gone with it.'
  const advice = option === 'client' ? elsewhere : adviceOn(error, credentials)
  const lines = [messageOf(error), advice, ...(verbose ? causesOf(error) : [])]
  const text = lines.filter(line => line !== undefined).join('\n  ')
  display.say('error', `asset ${assetId}: ${text}`, { assetId, code }, 'bad')
}
