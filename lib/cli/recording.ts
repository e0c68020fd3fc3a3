/**
 * One take: lets the source flow, minds the signals, and says what became of it.
 */
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { isatty } from 'node:tty'
import { DEFAULTS } from '../frameio/options.ts'
import {
  describeEnd,
  type SourceEnd,
  type UploadFromResult,
  uploadFrom,
} from '../sources/upload-from.ts'
import { RealtimeUpload } from '../upload/realtime-upload.ts'
import type { Settings } from './arguments.ts'
import type { Display } from './display.ts'
import { onSignals } from './signals.ts'
import type { Target } from './target.ts'

/** What a take came to. */
export interface Take extends UploadFromResult {
  /** From the first byte to the end, in seconds. */
  readonly seconds: number
  /** Of the file, where it is in a sandbox. */
  readonly path: string | undefined
  /** Did the source end by itself, or as it was asked to? */
  readonly isWell: boolean
}

/** Lines of a producer's stderr that are shown. */
const LAST_LINES = 8

/** How long a producer may take to end when its upload has failed, in ms. */
const LAST_CHANCE = 5_000

/** Windows has no groups of processes. */
const HAS_GROUPS = process.platform !== 'win32'

export class Recording {
  readonly #settings: Settings
  readonly #display: Display
  readonly #aborting = new AbortController()
  #target: Target | undefined
  #upload: RealtimeUpload | undefined
  #producer: ChildProcess | undefined
  /** The signal that asked for a good end. */
  #asked: NodeJS.Signals | undefined

  /** @param onAbort called where there is nothing to end yet, and so nothing that hears of it */
  constructor(settings: Settings, display: Display, onAbort: () => void) {
    this.#settings = settings
    this.#display = display
    onSignals(
      signal => (this.#target ? this.#end(signal) : onAbort()),
      () => (this.#target ? this.#abort() : onAbort()),
    )
  }

  get isAborted(): boolean {
    return this.#aborting.signal.aborted
  }

  get hasBegun(): boolean {
    return this.#upload !== undefined
  }

  /** What is left at Frame.io of a take that failed. */
  get left(): string | undefined {
    if (!this.#target) return undefined
    const { assetId } = this.#target
    return this.#upload?.result
      ? `Asset ${assetId} has every byte all the same.`
      : `Asset ${assetId} stays unfinished.`
  }

  async run(target: Target): Promise<Take> {
    this.#target = target
    const { signal } = this.#aborting
    const { memoryLimit = DEFAULTS.memoryLimit } = this.#settings.upload
    const upload = this.#open(target)
    const start = performance.now()
    this.#display.watch(upload, memoryLimit)
    const { onProducerFailure } = this.#settings
    const result = await uploadFrom(this.#source(), upload, {
      // A function would have to wait for the producer, which may have more to do after its stdout.
      onSourceFailure:
        onProducerFailure === 'finalise'
          ? 'finalise'
          : end => (this.#isWell(end) ? 'finalise' : 'abort'),
      onStart: child => {
        this.#producer = child
        // A signal that came while it was being started.
        if (this.isAborted) this.#send('SIGKILL')
        else if (this.#asked) this.#send(this.#asked)
      },
    })
    const { wait, sandbox } = this.#settings
    const path = wait || sandbox !== undefined ? await target.whenUploaded(signal) : undefined
    const seconds = Number(((performance.now() - start) / 1_000).toFixed(3))
    const isWell = this.#isWell(result.source)
    if (!isWell) this.#tellOfFailure(result.source)
    return { ...result, seconds, path, isWell }
  }

  /** An upload that failed has no use for its producer any more, nor for what that has started. */
  async endProducer(): Promise<void> {
    this.#send('SIGTERM')
    const end = performance.now() + LAST_CHANCE
    while (this.#isAlive() && performance.now() < end) await wait(50)
    this.#send('SIGKILL')
  }

  #open({ client, assetId }: Target): RealtimeUpload {
    const { upload, filetype, name, asset, extension } = this.#settings
    const { partSize, maxSize, concurrency, integrity } = upload
    const isNamedLast = asset !== undefined || extension !== undefined
    this.#upload = new RealtimeUpload({
      client,
      assetId,
      filetype,
      partSize,
      maxSize,
      concurrency,
      integrity,
      assetName: isNamedLast ? name : undefined,
      warnIfNotStreamable: true,
      signal: this.#aborting.signal,
    })
    return this.#upload
  }

  #source() {
    const { producer } = this.#settings
    if (!producer) return { fd: 0 }
    const [command, ...args] = producer
    const { FRAMEIO_TOKEN: _, ...env } = process.env
    // In a group of its own: else Ctrl-C would reach it from the terminal, and then from us as well.
    const options = { env, detached: HAS_GROUPS }
    return { command, args, options, stdin: isatty(0) ? 'ignore' : 'inherit' } as const
  }

  /** Did the source end by itself, or as it was asked to? ffmpeg says 255 then. */
  #isWell({ ok, exitCode, signal, error }: SourceEnd): boolean {
    if (ok || error || this.#asked === undefined) return ok
    if (exitCode === undefined) return signal === this.#asked
    return [0, 255, 128 + constants.signals[this.#asked]].includes(exitCode)
  }

  #end(signal: NodeJS.Signals): void {
    // Programs that film end well on SIGTERM; of SIGHUP most of them simply die.
    const passedOn = signal === 'SIGHUP' ? 'SIGTERM' : signal
    const source = this.#settings.producer
      ? 'the producer was told to end; what it wrote is being finalised'
      : 'waiting for the end of the input, then it is finalised'
    const text = this.#upload?.writableEnded ? 'what came is being finalised' : source
    this.#display.say('ending', `${signal}: ${text}. Once more aborts.`, { signal })
    // Of a producer that has ended already it does not excuse the end.
    if (!this.#producer || isRunning(this.#producer)) this.#asked = passedOn
    this.#send(passedOn)
  }

  #abort(): void {
    this.#aborting.abort()
    this.#send('SIGKILL')
  }

  /** Sends a signal to the producer, and to whatever it has started, which may outlive it. */
  #send(signal: NodeJS.Signals): void {
    if (!this.#isAlive()) return
    try {
      process.kill(this.#address as number, signal)
    } catch (error) {
      // A program that runs as another user, say. It can be ended by hand, and the upload goes on.
      const why = (error as Error).message
      this.#display.say('signal-failed', `the producer could not be told to end: ${why}`, {}, 'bad')
    }
  }

  /** Where signals for the producer go; undefined where none was started. */
  get #address(): number | undefined {
    const { pid } = this.#producer ?? {}
    return HAS_GROUPS && pid !== undefined ? -pid : pid
  }

  /** Is the producer, or anything that it has started in its group, still there? */
  #isAlive(): boolean {
    if (this.#address === undefined) return false
    try {
      return process.kill(this.#address, 0)
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM'
    }
  }

  #tellOfFailure(source: SourceEnd): void {
    const { exitCode, signal, stderr } = source
    const text = `the producer failed (${describeEnd(source)}); what it wrote is uploaded and finalised`
    const lines = [text, ...stderr.split('\n').slice(-LAST_LINES)].filter(Boolean)
    const details = { exitCode, signal, stderr }
    this.#display.say('producer-failed', lines.join('\n  '), details, 'bad')
  }
}

const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode === null && signalCode === null
