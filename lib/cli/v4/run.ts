/**
 * `--v4`: a take for an account without Camera to Cloud, from its first question to its exit code.
 */
import { AbortError, RealtimeUploadError } from '../../errors.ts'
import { Display } from '../display.ts'
import { EarlyEnd } from '../early-end.ts'
import { causesOf } from '../failures.ts'
import { leave } from '../leave.ts'
import { Output } from '../output.ts'
import { lastLines } from '../producer-stderr.ts'
import { Secrets } from '../secrets.ts'
import type { V4Settings } from '../settings.ts'
import { resumeLine } from '../shell-word.ts'
import { UsageError } from '../usage.ts'
import { Waiting } from '../waiting.ts'
import { checkV4 } from './check.ts'
import { type V4File, V4Recording, type V4Take } from './recording.ts'
import { openV4, spoolOf, type V4Target } from './target.ts'
import { adviceFor, messageIn } from './telling.ts'
import { nameUnfinished } from './unfinished.ts'

export type V4End = 'done' | 'failed' | 'usage' | 'producerFailed' | 'aborted'

const ABORTED = 130

/** @throws {UsageError} */
export const recordForV4 = async (settings: V4Settings): Promise<V4End> => {
  const dir = spoolOf(settings)
  await checkV4(settings, dir)
  const secrets = new Secrets()
  const display = new Display(process.stderr, settings, secrets)
  const waiting = new Waiting(display, settings.follow ? 'uploaded' : 'recorded')
  // Nothing is made at Frame.io before the take: of a sandbox the folders are.
  const isCreating = settings.sandbox !== undefined
  const beginning = { isCreating, isFollowed: settings.follow !== undefined }
  const early = new EarlyEnd(beginning, display, () => void leave(ABORTED))
  const recording = new V4Recording(settings, display, early.ask)
  const { source } = recording
  const output = new Output(settings.json, display, secrets, source)
  let target: V4Target | undefined
  try {
    const accountId = settings.v4?.accountId
    if (dir !== undefined && accountId !== undefined) {
      await nameUnfinished(dir, resumeLine(dir, settings, accountId), display)
    }
    target = await waiting.for(openV4(settings, secrets, waiting))
    if (await early.tookBack({})) return 'aborted'
    if (settings.follow) {
      const { file } = settings.follow
      const text = `${file} is uploaded once it is over: V4 must know its size`
      display.say('following', text, { file })
    }
    const take = await recording.run(target)
    display.stop()
    sayTotal(take, display)
    const isTold = await output.tell(resultOf(take), take.files.map(lineOf).join('\n'))
    if (!take.isWell) return 'producerFailed'
    return isTold ? 'done' : 'failed'
  } catch (error) {
    if (early.isAsked) return 'aborted'
    if (error instanceof UsageError) throw error
    display.stop()
    const ended = source.endProducer()
    const line = lineOfTarget(target, settings)
    const { code, stderr }: Partial<RealtimeUploadError> =
      error instanceof RealtimeUploadError ? error : {}
    const message = messageIn(error, line)
    const isAborted = source.isAborted || error instanceof AbortError
    const lines = isAborted
      ? ['aborted', recording.kept(line)]
      : [message, ...lastLines(stderr ?? '', message), adviceFor(error, settings.legacyToken)]
    const causes = settings.verbose && !isAborted ? causesOf(error) : []
    const text = [...lines, ...causes].filter(said => said !== undefined).join('\n  ')
    const details = { code, stderr: stderr || undefined }
    display.say(isAborted ? 'aborted' : 'error', text, details, 'bad')
    const failure = { files: recording.stored, error: { ...details, message } }
    if (settings.json) await output.tell(failure)
    await ended
    if (isAborted) return 'aborted'
    return code === 'ERR_INVALID_OPTION' && !recording.hasBegun ? 'usage' : 'failed'
  } finally {
    await source.close(recording.hasBegun)
    await display.settle(source.leaving, source.isHurried)
    await target?.close()
  }
}

const lineOfTarget = (target: V4Target | undefined, settings: V4Settings): string | undefined =>
  target?.accountId === undefined ? undefined : resumeLine(target.dir, settings, target.accountId)

const sayTotal = ({ files, bytes, secondsAfter }: V4Take, display: Display): void => {
  const what = files.length === 1 ? 'the file is' : `all ${files.length} files are`
  const text = `${what} uploaded, ${secondsAfter} s after the end of the recording`
  display.say('uploaded', text, { files: files.length, bytes, secondsAfter })
}

const resultOf = ({ files, bytes, seconds, secondsAfter, kept, source }: V4Take) => {
  const { ok, exitCode, signal, reason } = source
  return { files, bytes, seconds, secondsAfter, kept, source: { ok, exitCode, signal, reason } }
}

const lineOf = ({ name, bytes, viewUrl, path }: V4File): string =>
  [name, `${bytes} bytes`, path ?? viewUrl].filter(text => text !== undefined).join('  ')
