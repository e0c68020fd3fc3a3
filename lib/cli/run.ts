/**
 * From arguments to an exit code.
 */
import { isatty } from 'node:tty'
import { RealtimeUploadError } from '../errors.ts'
import { readArguments } from './arguments.ts'
import { deviceCommandIn, deviceHelp, readDeviceArguments } from './device/arguments.ts'
import { Display } from './display.ts'
import { EarlyEnd, sayDiscarded } from './early-end.ts'
import { adviceOn, causesOf, messageOf } from './failures.ts'
import { HELP } from './help.ts'
import { leave } from './leave.ts'
import { Output, print } from './output.ts'
import { lastLines } from './producer-stderr.ts'
import type { Take } from './recording.ts'
import { Secrets } from './secrets.ts'
import type { Settings } from './settings.ts'
import type { Target } from './target.ts'
import { UsageError } from './usage.ts'
import { Waiting } from './waiting.ts'

const EXIT = { done: 0, failed: 1, usage: 2, producerFailed: 3, aborted: 130 } as const

/** @returns the exit code */
export const run = async (argv: readonly string[], version: string): Promise<number> => {
  try {
    const command = deviceCommandIn(argv)
    if (command) {
      const settings = readDeviceArguments(command, argv.slice(1))
      if (settings === 'help') return await answer(deviceHelp(command))
      const { runDevice } = await import('./engine.ts')
      return EXIT[await runDevice(settings)]
    }
    const settings = readArguments(argv)
    if (settings === 'help' || settings === 'version') {
      return await answer(settings === 'help' ? HELP.trimEnd() : version)
    }
    if ('resume' in settings) {
      if ('accountId' in settings) {
        const { resumeForV4 } = await import('./engine.ts')
        return EXIT[await resumeForV4(settings)]
      }
      const { resumeTakes } = await import('./engine.ts')
      return EXIT[await resumeTakes(settings)]
    }
    if ('match' in settings) {
      const { followFiles } = await import('./engine.ts')
      return EXIT[await followFiles(settings)]
    }
    if (!settings.producer && !settings.follow && isatty(0)) {
      throw new UsageError('There is nothing to upload: pipe into this, or give -- and a program')
    }
    if ('v4' in settings) {
      const { recordForV4 } = await import('./engine.ts')
      return EXIT[await recordForV4(settings)]
    }
    const { checkOptions } = await import('./engine.ts')
    checkOptions(settings)
    return await record(settings)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`frameio-upload: ${error.message}\n  --help shows what there is\n`)
    return EXIT.usage
  }
}

/** What was asked of the command itself. */
const answer = async (text: string): Promise<number> => {
  const unwritten = await print(text)
  if (!unwritten) return EXIT.done
  process.stderr.write(`frameio-upload: stdout takes nothing: ${unwritten.message}\n`)
  return EXIT.failed
}

const record = async (settings: Settings): Promise<number> => {
  const { Recording, nameUnfinished } = await import('./engine.ts')
  const secrets = new Secrets()
  const display = new Display(process.stderr, settings, secrets)
  const waiting = new Waiting(display, settings.follow ? 'uploaded' : 'recorded')
  const beginning = {
    isCreating: settings.asset === undefined,
    isFollowed: settings.follow !== undefined,
  }
  const early = new EarlyEnd(beginning, display, () => void leave(EXIT.aborted))
  const recording = new Recording(settings, display, early.ask)
  const output = new Output(settings.json, display, secrets, recording.source)
  let target: Target | undefined
  try {
    await nameUnfinished(settings, display)
    target = await waiting.for(openTarget(settings, secrets, waiting))
    if (await early.tookBack(target)) return EXIT.aborted
    const take = await recording.run(target)
    display.stop()
    const isTold = await output.tell(resultOf(take), lineOf(take))
    if (!take.isWell) return EXIT.producerFailed
    return isTold ? EXIT.done : EXIT.failed
  } catch (error) {
    if (early.isAsked) return EXIT.aborted
    if (error instanceof UsageError) throw error
    display.stop()
    const ended = recording.source.endProducer()
    const { isEmpty, hasBegun, source } = recording
    const { isAborted } = source
    const discard = isEmpty ? target?.discard : undefined
    const left = discard ? undefined : recording.left(error)
    const { code, stderr = '' }: Partial<RealtimeUploadError> =
      error instanceof RealtimeUploadError ? error : {}
    const message = messageOf(error)
    const said = lastLines(stderr, message)
    const more = [
      ...said,
      adviceOn(error, settings.credentials),
      left,
      ...(settings.verbose ? causesOf(error) : []),
    ]
    const lines = isAborted ? ['aborted', left] : [message, ...more]
    const text = lines.filter(line => line !== undefined).join('\n  ')
    const details = { code, stderr: stderr || undefined }
    display.say(isAborted ? 'aborted' : 'error', text, details, 'bad')
    const discarded = await discard?.(source.leaving)
    if (discarded) sayDiscarded(discarded, display)
    const deleted = discarded?.isDeleted
    const failure = { assetId: target?.assetId, deleted, error: { ...details, message } }
    if (settings.json) await output.tell(failure)
    await ended
    if (isAborted) return EXIT.aborted
    return code === 'ERR_INVALID_OPTION' && !hasBegun ? EXIT.usage : EXIT.failed
  } finally {
    await recording.source.close(recording.hasBegun)
    await display.settle(recording.source.leaving, recording.source.isHurried)
    await target?.close()
  }
}

const openTarget = async (
  settings: Settings,
  secrets: Secrets,
  waiting: Waiting,
): Promise<Target> => {
  const { openAccount, openLocal } = await import('./engine.ts')
  return settings.sandbox === undefined
    ? openAccount(settings, secrets, waiting)
    : openLocal(settings, settings.sandbox)
}

const resultOf = ({ assetId, bytes, parts, seconds, path, kept, source }: Take) => {
  const { ok, exitCode, signal, reason } = source
  return { assetId, bytes, parts, seconds, path, kept, source: { ok, exitCode, signal, reason } }
}

const lineOf = ({ assetId, bytes, parts, seconds, path, kept }: Take): string =>
  [assetId, `${bytes} bytes`, `${parts} parts`, `${seconds} s`, path, kept?.path]
    .filter(text => text !== undefined)
    .join('  ')
