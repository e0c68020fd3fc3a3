/**
 * What a take is fed by, be it a program, stdin, or a file that is followed; and who ends it: Ctrl-C asks for a
 * good end, and once more for an end.
 */
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { describeEnd, hintAt, type SourceEnd } from '../sources/source-end.ts'
import type { UploadFromOptions } from '../sources/upload-from.ts'
import type { Display } from './display.ts'
import { Following } from './following.ts'
import { ProcessGroup } from './process-group.ts'
import { ProducerLog } from './producer-log.ts'
import { lastLines, ProducerStderr } from './producer-stderr.ts'
import type { SourceSettings } from './settings.ts'
import { onSignals, onStop } from './signals.ts'
import { Watchdog } from './watchdog.ts'

export interface TakeSourceOptions {
  /** What becomes of what came, once the source has ended. */
  readonly fate: 'finalised' | 'uploaded'
  /** Has the source ended, as far as is known? */
  readonly hasEnded: () => boolean
  /** Called where there is nothing to end yet, and so nothing that hears of it. */
  readonly onAbort: () => void
}

export class TakeSource {
  readonly following: Following | undefined
  readonly #settings: SourceSettings
  readonly #display: Display
  readonly #options: TakeSourceOptions
  readonly #aborting = new AbortController()
  readonly #leaving = new AbortController()
  #producer: ProcessGroup | undefined
  readonly #log: ProducerLog | undefined
  #watchdog: Watchdog | undefined
  /** The signal that asked for a good end. */
  #asked: NodeJS.Signals | undefined
  #state: 'waiting' | 'running' | 'over' = 'waiting'
  #isHurried = false

  /** @throws {UsageError} where the producer's log cannot be written */
  constructor(settings: SourceSettings, display: Display, options: TakeSourceOptions) {
    this.#settings = settings
    this.#display = display
    this.#options = options
    const { producerLog: file, follow } = settings
    if (follow) this.following = new Following(follow, display, options.fate)
    if (file !== undefined) {
      const warn = (text: string) => display.say('producer-log-failed', text, {}, 'bad')
      this.#log = new ProducerLog(file, warn)
    }
    onSignals(
      signal => (this.#state === 'waiting' ? options.onAbort() : this.#end(signal)),
      () => (this.#state === 'waiting' ? options.onAbort() : this.#abort()),
    )
    // A pipe's other end is stopped by the shell.
    if (settings.producer) {
      onStop(
        () => this.#producer?.send('SIGSTOP'),
        () => this.#producer?.send('SIGCONT'),
      )
    }
  }

  /** Aborts the take. */
  get signal(): AbortSignal {
    return this.#aborting.signal
  }

  get isAborted(): boolean {
    return this.signal.aborted
  }

  /** Aborts at a signal that comes when the take is over: whoever still waits for anything is to leave. */
  get leaving(): AbortSignal {
    return this.#leaving.signal
  }

  /** Has a signal asked for an end? */
  get isHurried(): boolean {
    return this.#isHurried
  }

  /** While this lasts a signal ends the take. */
  async during<T>(take: () => Promise<T>): Promise<T> {
    this.#state = 'running'
    try {
      return await take()
    } finally {
      this.#state = 'over'
      this.following?.close()
    }
  }

  get source() {
    const { producer } = this.#settings
    if (this.following) return this.following.source
    if (!producer) return { fd: 0 }
    const [command, ...args] = producer
    const options = ProcessGroup.spawnOptions
    return { command, args, options, stdin: isatty(0) ? 'ignore' : 'inherit' } as const
  }

  /** What is done with a program as it starts, and where the source fails. */
  get options(): UploadFromOptions {
    return {
      // A function would have to wait for the producer, which may have more to do after its stdout.
      onSourceFailure:
        this.#settings.onProducerFailure === 'finalise'
          ? 'finalise'
          : end => (this.isWell(end) ? 'finalise' : 'abort'),
      onStart: child => this.#started(child),
    }
  }

  /** Did the source end by itself, or as it was asked to? ffmpeg says 255 then. */
  isWell({ ok, exitCode, signal, error }: SourceEnd): boolean {
    if (ok || error || this.#asked === undefined) return ok
    if (exitCode === undefined) return signal === this.#asked
    return [0, 255, 128 + constants.signals[this.#asked]].includes(exitCode)
  }

  /** The source did not end well. */
  tellOfFailure(source: SourceEnd): void {
    if (this.following) {
      this.following.tellOfUnfinished(source)
      return
    }
    const { exitCode, signal, stderr } = source
    const { fate } = this.#options
    const rest = fate === 'finalised' ? 'is uploaded and finalised' : 'is uploaded'
    const text = `the producer failed (${describeEnd(source)}); what it wrote ${rest}`
    const lines = [text, ...lastLines(stderr), hintAt(stderr)].filter(line => line !== undefined)
    const details = { exitCode, signal, stderr }
    this.#display.say('producer-failed', lines.join('\n  '), details, 'bad')
  }

  /** A take that is over has no use for its producer any more, nor for what that has started. */
  async endProducer(): Promise<void> {
    await this.#producer?.end()
    await this.release()
  }

  /** The producer has ended. */
  async release(): Promise<void> {
    await this.#watchdog?.release()
  }

  /** Keeps what is still to be kept of the producer's words. @param hasBegun did the take begin? */
  async close(hasBegun: boolean): Promise<void> {
    if (hasBegun) await this.#log?.close()
    else await this.#log?.withdraw()
  }

  #started(child: ChildProcess): void {
    // It can be ended by hand where it cannot be told, and the upload goes on.
    this.#producer = new ProcessGroup(child, ({ message }) => {
      const text = `the producer could not be told to end: ${message}`
      this.#display.say('signal-failed', text, {}, 'bad')
    })
    const { producer: [command = ''] = [], verbose, quiet } = this.#settings
    new ProducerStderr(command, this.#display).listen(child, verbose && !quiet, this.#log)
    const { id } = this.#producer
    if (id !== undefined) this.#watchdog = new Watchdog(id)
    // A signal that came while it was being started.
    if (this.isAborted) this.#producer.send('SIGKILL')
    else if (this.#asked) this.#producer.send(this.#asked)
  }

  #end(signal: NodeJS.Signals): void {
    this.#isHurried = true
    if (this.#state === 'over') {
      this.#leaving.abort()
      return
    }
    // Programs that film end well on SIGTERM; of SIGHUP most of them simply die.
    const passedOn = signal === 'SIGHUP' ? 'SIGTERM' : signal
    const { fate, hasEnded } = this.#options
    const source =
      this.following?.ending ??
      (this.#settings.producer
        ? `the producer was told to end; what it wrote is being ${fate}`
        : `waiting for the end of the input, then it is ${fate}`)
    const text = hasEnded() ? `what came is being ${fate}` : source
    this.#display.say('ending', `${signal}: ${text}. Once more aborts.`, { signal })
    // A signal that comes after the producer has ended does not explain its exit code.
    if (this.#producer?.isLeaderRunning ?? true) this.#asked = passedOn
    this.#producer?.send(passedOn)
    this.following?.end()
  }

  #abort(): void {
    this.#isHurried = true
    if (this.#state === 'over') this.#leaving.abort()
    this.#aborting.abort()
    this.#producer?.send('SIGKILL')
  }
}
