/**
 * What the command says while it runs, on stderr: one line that lives on a terminal, a line now and
 * then elsewhere, or one JSON object a line.
 */
import { clearLine, cursorTo } from 'node:readline'
import type { WriteStream } from 'node:tty'
import { styleText } from 'node:util'
import type { RealtimeUpload } from '../upload/realtime-upload.ts'
import { warningOf } from './failures.ts'
import { Rates, type State } from './rates.ts'
import type { Secrets } from './secrets.ts'
import { showSize, showTime } from './units.ts'

/** Between two looks at where the upload stands, in ms. */
const TICK = 250
/** Between two lines of progress, in ms: drawn anew, as JSON, and as plain text. */
const PAUSES = { live: TICK, json: 1_000, plain: 10_000 }
/** How long a source must be held to be worth a line, in ms: a full memory that drains holds often. */
const HELD_FOR = 1_000

/** How a line is meant. */
type Tone = 'plain' | 'good' | 'bad'
const COLORS = { good: 'green', bad: 'red' } as const

export class Display {
  readonly #stream: WriteStream
  readonly #mode: keyof typeof PAUSES
  readonly #isQuiet: boolean
  readonly #secrets: Secrets
  #rates: Rates | undefined
  #timer: NodeJS.Timeout | undefined
  #shownAt = 0
  #isDrawn = false

  constructor(
    stream: WriteStream,
    { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
    secrets: Secrets,
  ) {
    this.#stream = stream
    this.#mode = json ? 'json' : stream.isTTY ? 'live' : 'plain'
    this.#isQuiet = quiet
    this.#secrets = secrets
    stream.on('error', () => {}) // Whoever read this has left. The upload has not.
  }

  /** Something happened. Errors are said even where it was asked to be quiet. */
  say(event: string, text: string, details: object = {}, tone: Tone = 'plain'): void {
    if (this.#isQuiet && tone !== 'bad') return
    this.#erase()
    if (this.#mode === 'json') this.#writeJson({ event, message: text, ...details })
    else this.#write(this.#paint(`frameio-upload: ${text}`, tone))
  }

  /** Shows where an upload stands until `stop`. */
  watch(upload: RealtimeUpload, memoryLimit: number): void {
    if (this.#isQuiet) return
    this.#rates = new Rates(() => upload.progress, memoryLimit)
    this.#shownAt = performance.now()
    this.#timer = setInterval(() => this.#tick(), TICK).unref()
    upload.on('retry', ({ stage, partNumbers, attempt, delay, giveUpIn, error }) => {
      const what = `${stage === 'put' ? 'PUT' : 'registration'} of part ${partNumbers.join(', ')}`
      const { cause } = error
      const why =
        cause instanceof Error && !error.message.includes(cause.message) ? cause.message : ''
      const end = giveUpIn === Infinity ? '' : `; given up in ${showTime(giveUpIn / 1_000)}`
      const text = `${what} failed, again in ${showDelay(delay)}: ${error.message}${why && ` (${why})`}${end}`
      const { code } = error
      this.say('retry', text, { stage, partNumbers, attempt, delay, giveUpIn, code })
    })
    upload.on('warning', warning => {
      this.say('warning', warningOf(warning), { code: warning.code })
    })
    let holding: NodeJS.Timeout | undefined
    let isTold = false
    upload.on('stall', () => {
      holding = setTimeout(() => {
        isTold = true
        this.say('stall', 'the memory is full: the source is held')
      }, HELD_FOR).unref()
    })
    upload.on('resume', () => {
      clearTimeout(holding)
      if (isTold) this.say('resume', 'the source flows again')
      isTold = false
    })
    upload.on('close', () => clearTimeout(holding))
  }

  /** No more progress. */
  stop(): void {
    clearInterval(this.#timer)
    this.#erase()
  }

  #tick(): void {
    const now = performance.now()
    this.#rates?.take(now)
    if (!this.#rates || now - this.#shownAt < PAUSES[this.#mode] - TICK / 2) return
    this.#shownAt = now
    const { state } = this.#rates
    if (this.#mode === 'json') this.#writeJson({ event: 'progress', ...state })
    else if (this.#mode === 'plain') this.#write(describe(state))
    else this.#draw(describe(state))
  }

  /** Over what was drawn before. */
  #draw(line: string): void {
    this.#isDrawn = true
    cursorTo(this.#stream, 0)
    this.#stream.write(line.slice(0, (this.#stream.columns || 80) - 1))
    clearLine(this.#stream, 1)
  }

  #erase(): void {
    if (!this.#isDrawn) return
    this.#isDrawn = false
    cursorTo(this.#stream, 0)
    clearLine(this.#stream, 0)
  }

  #write(line: string): void {
    this.#stream.write(`${this.#secrets.hide(line)}\n`)
  }

  #writeJson(value: object): void {
    this.#stream.write(`${this.#secrets.json(value)}\n`)
  }

  /** In colour where it is a terminal that has it and NO_COLOR does not forbid it. */
  #paint(text: string, tone: Tone): string {
    const hasColors = this.#stream.isTTY && this.#stream.hasColors()
    if (tone === 'plain' || !hasColors) return text
    // styleText checks stdout for colours; this is stderr.
    return styleText(COLORS[tone], text, { validateStream: false })
  }
}

/** What matters most comes first: a narrow terminal cuts the rest. */
const describe = (state: State): string =>
  [
    `in ${showSize(state.bytesReceived)} (${showSize(state.rateIn)}/s)`,
    `up ${showSize(state.bytesUploaded)} (${showSize(state.rateOut)}/s)`,
    `headroom ${state.headroom === null ? 'no end' : showTime(state.headroom)}`,
    `retries ${state.retries}`,
    `lanes ${state.partsInFlight}`,
    `buffered ${showSize(state.bytesBuffered)}`,
  ].join(', ')

const showDelay = (ms: number) => (ms < 1_000 ? `${Math.round(ms)} ms` : showTime(ms / 1_000))
