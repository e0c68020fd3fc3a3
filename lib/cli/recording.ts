/**
 * One take: lets the source flow, minds the signals, and says what became of it.
 */
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import type { RealtimeUploadError } from '../errors.ts'
import { DEFAULTS } from '../frameio/options.ts'
import { describeEnd, hintAt, type SourceEnd } from '../sources/source-end.ts'
import { type UploadFromResult, uploadFrom } from '../sources/upload-from.ts'
import { RealtimeUpload } from '../upload/realtime-upload.ts'
import type { Settings } from './arguments.ts'
import type { Display } from './display.ts'
import { Following } from './following.ts'
import { ProcessGroup } from './process-group.ts'
import { ProducerLog } from './producer-log.ts'
import { lastLines, ProducerStderr } from './producer-stderr.ts'
import { roomFor } from './room.ts'
import { resumeLine } from './shell-word.ts'
import { onSignals, onStop } from './signals.ts'
import type { Target } from './target.ts'
import { Watchdog } from './watchdog.ts'

/** What a take came to. */
export interface Take extends UploadFromResult {
  /** From the first byte to the end, in seconds. */
  readonly seconds: number
  /** Of the file, where it is in a sandbox. */
  readonly path: string | undefined
  /** Did the source end by itself, or as it was asked to? */
  readonly isWell: boolean
}

export class Recording {
  readonly #settings: Settings
  readonly #display: Display
  readonly #aborting = new AbortController()
  readonly #following: Following | undefined
  #target: Target | undefined
  #upload: RealtimeUpload | undefined
  #producer: ProcessGroup | undefined
  readonly #log: ProducerLog | undefined
  #watchdog: Watchdog | undefined
  /** The signal that asked for a good end. */
  #asked: NodeJS.Signals | undefined
  #isOver = false
  #isHurried = false
  readonly #leaving = new AbortController()

  /**
   * @param onAbort called where there is nothing to end yet, and so nothing that hears of it
   * @throws {UsageError} where the producer's log cannot be written
   */
  constructor(settings: Settings, display: Display, onAbort: () => void) {
    this.#settings = settings
    this.#display = display
    const { producerLog: file, follow } = settings
    if (follow) this.#following = new Following(follow, display)
    if (file !== undefined) {
      const warn = (text: string) => display.say('producer-log-failed', text, {}, 'bad')
      this.#log = new ProducerLog(file, warn)
    }
    onSignals(
      signal => (this.#target ? this.#end(signal) : onAbort()),
      () => (this.#target ? this.#abort() : onAbort()),
    )
    // A pipe's other end is stopped by the shell.
    if (settings.producer) {
      onStop(
        () => this.#producer?.send('SIGSTOP'),
        () => this.#producer?.send('SIGCONT'),
      )
    }
  }

  get isAborted(): boolean {
    return this.#aborting.signal.aborted
  }

  get hasBegun(): boolean {
    return this.#upload !== undefined
  }

  /** Is it certain that nothing was registered, for not even one part was begun to be? */
  get isEmpty(): boolean {
    return (this.#upload?.progress.partsFilled ?? 0) === 0 && this.#kept === undefined
  }

  /** Aborts at a signal that comes when the take is over: whoever still waits for anything is to leave. */
  get leaving(): AbortSignal {
    return this.#leaving.signal
  }

  /** Has a signal asked for an end? */
  get isHurried(): boolean {
    return this.#isHurried
  }

  /** What is there of a take that failed, in a sentence. @param error why it failed */
  left(error: unknown): string | undefined {
    const left = this.#target?.left(this.#upload?.result !== undefined)
    // Of a file that is shorter than what went up of it nothing can be finished.
    const isLost = (error as Partial<RealtimeUploadError>).code === 'ERR_SOURCE_TRUNCATED'
    return [left, isLost ? undefined : this.#kept].filter(Boolean).join(' ') || undefined
  }

  /** What is on the disk of a take that is not stored, and how to go on with it. */
  get #kept(): string | undefined {
    const { spool } = this.#settings.upload
    const { result, progress } = this.#upload ?? {}
    if (!spool?.durable || result || !progress) return undefined
    if (this.#following) {
      return progress.bytesReceived > 0 ? this.#following.resumable(spool.dir) : undefined
    }
    if (progress.bytesDurable <= progress.bytesUploaded) return undefined
    return `What came is kept in ${spool.dir}: ${resumeLine(spool.dir)} finishes it.`
  }

  async run(target: Target): Promise<Take> {
    this.#target = target
    try {
      return await this.#take(target)
    } finally {
      this.#isOver = true
      this.#following?.close()
    }
  }

  /** An upload that failed has no use for its producer any more, nor for what that has started. */
  async endProducer(): Promise<void> {
    await this.#producer?.end()
    await this.#watchdog?.release()
  }

  async #take(target: Target): Promise<Take> {
    const { signal } = this.#aborting
    const { memoryLimit = DEFAULTS.memoryLimit, spool } = this.#settings.upload
    const upload = this.#open(target)
    const start = performance.now()
    const following = this.#following
    this.#display.watch(upload, following ? undefined : roomFor(memoryLimit, spool))
    following?.begin(() => upload.writableEnded)
    const { onProducerFailure } = this.#settings
    const result = await uploadFrom(this.#source(), upload, {
      // A function would have to wait for the producer, which may have more to do after its stdout.
      onSourceFailure:
        onProducerFailure === 'finalise'
          ? 'finalise'
          : end => (this.#isWell(end) ? 'finalise' : 'abort'),
      onStart: child => {
        // It can be ended by hand where it cannot be told, and the upload goes on.
        this.#producer = new ProcessGroup(child, ({ message }) => {
          const text = `the producer could not be told to end: ${message}`
          this.#display.say('signal-failed', text, {}, 'bad')
        })
        this.#listen(child)
        const { id } = this.#producer
        if (id !== undefined) this.#watchdog = new Watchdog(id)
        // A signal that came while it was being started.
        if (this.isAborted) this.#producer.send('SIGKILL')
        else if (this.#asked) this.#producer.send(this.#asked)
      },
    })
    await this.#watchdog?.release()
    const { wait, sandbox } = this.#settings
    const path = wait || sandbox !== undefined ? await target.whenUploaded(signal) : undefined
    const seconds = Number(((performance.now() - start) / 1_000).toFixed(3))
    const isWell = this.#isWell(result.source)
    if (!isWell && following) following.tellOfUnfinished(result.source)
    else if (!isWell) this.#tellOfFailure(result.source)
    return { ...result, seconds, path, isWell }
  }

  /** Keeps what is still to be kept of the producer's words. */
  async close(): Promise<void> {
    if (this.hasBegun) await this.#log?.close()
    else await this.#log?.withdraw()
  }

  #listen(child: ChildProcess): void {
    const { producer: [command = ''] = [], verbose, quiet } = this.#settings
    const stderr = new ProducerStderr(command, this.#display)
    stderr.listen(child, verbose && !quiet, this.#log)
  }

  #open({ client, assetId }: Target): RealtimeUpload {
    const { upload, filetype, name, asset, extension } = this.#settings
    const { partSize, maxSize, expectedSize, concurrency, integrity, lateHead, spool } = upload
    const isNamedLast = asset !== undefined || extension !== undefined
    this.#upload = new RealtimeUpload({
      client,
      assetId,
      filetype,
      partSize,
      maxSize,
      expectedSize,
      concurrency,
      integrity,
      lateHead,
      spool,
      assetName: isNamedLast ? name : undefined,
      warnIfNotStreamable: true,
      signal: this.#aborting.signal,
    })
    return this.#upload
  }

  #source() {
    const { producer } = this.#settings
    if (this.#following) return this.#following.source
    if (!producer) return { fd: 0 }
    const [command, ...args] = producer
    const options = ProcessGroup.spawnOptions
    return { command, args, options, stdin: isatty(0) ? 'ignore' : 'inherit' } as const
  }

  /** Did the source end by itself, or as it was asked to? ffmpeg says 255 then. */
  #isWell({ ok, exitCode, signal, error }: SourceEnd): boolean {
    if (ok || error || this.#asked === undefined) return ok
    if (exitCode === undefined) return signal === this.#asked
    return [0, 255, 128 + constants.signals[this.#asked]].includes(exitCode)
  }

  #end(signal: NodeJS.Signals): void {
    this.#isHurried = true
    if (this.#isOver) {
      this.#leaving.abort()
      return
    }
    // Programs that film end well on SIGTERM; of SIGHUP most of them simply die.
    const passedOn = signal === 'SIGHUP' ? 'SIGTERM' : signal
    const source =
      this.#following?.ending ??
      (this.#settings.producer
        ? 'the producer was told to end; what it wrote is being finalised'
        : 'waiting for the end of the input, then it is finalised')
    const text = this.#upload?.writableEnded ? 'what came is being finalised' : source
    this.#display.say('ending', `${signal}: ${text}. Once more aborts.`, { signal })
    // A signal that comes after the producer has ended does not explain its exit code.
    if (this.#producer?.isLeaderRunning ?? true) this.#asked = passedOn
    this.#producer?.send(passedOn)
    this.#following?.end()
  }

  #abort(): void {
    this.#isHurried = true
    if (this.#isOver) this.#leaving.abort()
    this.#aborting.abort()
    this.#producer?.send('SIGKILL')
  }

  #tellOfFailure(source: SourceEnd): void {
    const { exitCode, signal, stderr } = source
    const text = `the producer failed (${describeEnd(source)}); what it wrote is uploaded and finalised`
    const lines = [text, ...lastLines(stderr), hintAt(stderr)].filter(line => line !== undefined)
    const details = { exitCode, signal, stderr }
    this.#display.say('producer-failed', lines.join('\n  '), details, 'bad')
  }
}
