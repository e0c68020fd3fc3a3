/**
 * What the command says while it runs, on stderr: one line that lives on a terminal, a line now and
 * then elsewhere, or one JSON object a line.
 */
import { stripVTControlCharacters, styleText } from 'node:util'
import type { EventMap, Progress, RetryInfo } from '../upload/events.ts'
import { describeChanged, describeRetry, describeState } from './describe.ts'
import { warningOf } from './failures.ts'
import { Outlet, type Standard } from './outlet.ts'
import { Rates, type Room, type State } from './rates.ts'
import type { Secrets } from './secrets.ts'

/** Between two looks at where the upload stands, in ms. */
const TICK = 250
/** Between two lines of progress, in ms: drawn anew, as JSON, and as plain text. */
const PAUSES = { live: TICK, json: 1_000, plain: 10_000 }
/** How long a source must be held to be worth a line, in ms: a full memory that drains holds often. */
const HELD_FOR = 1_000

/** How long what was said may take to get through at the end, in ms. */
const LAST_WAIT = 1_000

/** What failed and is tried again. */
const STAGES: Readonly<Record<RetryInfo['stage'], string>> = {
  register: 'registration',
  put: 'PUT',
  read: 'reading',
}

/** To the first column, and away with the rest of the line. */
const ERASE = '\r\u001b[K'

/** An upload, as far as it is shown. */
export interface Watched {
  readonly progress: Progress
  on<E extends 'retry' | 'changed' | 'warning' | 'stall' | 'resume' | 'close'>(
    event: E,
    listener: (...args: EventMap[E]) => void,
  ): unknown
}

/** How a line is meant. */
type Tone = 'plain' | 'good' | 'bad'
const COLORS = { good: 'green', bad: 'red' } as const

export class Display {
  readonly #stream: Standard
  readonly #outlet: Outlet
  readonly #mode: keyof typeof PAUSES
  readonly #isQuiet: boolean
  readonly #secrets: Secrets
  #rates: Rates | undefined
  #describe: (state: State) => string = describeState
  #timer: NodeJS.Timeout | undefined
  #shownAt = 0
  #isDrawn = false

  constructor(
    stream: Standard,
    { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
    secrets: Secrets,
  ) {
    this.#stream = stream
    this.#outlet = new Outlet(stream, count => this.#line('dropped', droppedText(count), { count }))
    this.#mode = json ? 'json' : stream.isTTY && process.env.TERM !== 'dumb' ? 'live' : 'plain'
    this.#isQuiet = quiet
    this.#secrets = secrets
  }

  /** Something happened. Errors are said even where it was asked to be quiet. */
  say(event: string, text: string, details: object = {}, tone: Tone = 'plain'): void {
    if (this.#isQuiet && tone !== 'bad') return
    this.#erase()
    this.#write(this.#line(event, text, details, tone))
  }

  /**
   * What people need whole, such as a link with a code in it: nothing of it is hidden.
   *
   * @param drawn in place of the text, on a terminal
   */
  showWhole(event: string, text: string, details: object, drawn = text): void {
    this.#erase()
    const message = withoutControls(text)
    if (this.#mode === 'live') this.#write(`${drawn}\n`)
    else if (this.#mode === 'plain') this.#write(`frameio-upload: ${message}\n`)
    else this.#write(`${JSON.stringify({ event, message, ...details })}\n`)
  }

  /** A line that lives until the next, on a terminal alone. */
  live(text: string): void {
    if (this.#mode === 'live') this.#draw(text)
  }

  /** Undefined where this is no terminal that can be drawn on. */
  get screen(): { readonly columns: number; readonly hasColors: boolean } | undefined {
    if (this.#mode !== 'live') return undefined
    return { columns: this.#stream.columns || 80, hasColors: this.#stream.hasColors() }
  }

  /**
   * Shows where an upload stands until `stop`.
   *
   * @param room undefined: nothing is held, for it is a file that is followed
   */
  watch(upload: Watched, room: Room | undefined): void {
    this.show(() => upload.progress, room)
    this.hear(upload)
  }

  /**
   * Shows where one upload stands, or several, until `stop`.
   *
   * @param describe that in a line
   */
  show(progress: () => Progress, room: Room | undefined, describe = describeState): void {
    if (this.#isQuiet) return
    this.#describe = describe
    this.#rates = new Rates(progress, room)
    this.#shownAt = performance.now()
    this.#timer = setInterval(() => this.#tick(), TICK).unref()
  }

  /**
   * Says what happens to an upload.
   *
   * @param file where there are several
   */
  hear(upload: Watched, file?: string): void {
    const say = (event: string, text: string, details: object = {}, tone: Tone = 'plain') =>
      file === undefined
        ? this.say(event, text, details, tone)
        : this.say(event, `${file}: ${text}`, { file, ...details }, tone)
    upload.on('retry', ({ stage, partNumbers, attempt, delay, giveUpIn, error }) => {
      const what = [STAGES[stage], partNumbers.join(', ')].filter(Boolean).join(' of part ')
      const { code } = error
      say('retry', describeRetry(what, { delay, giveUpIn, error }), {
        stage,
        partNumbers,
        attempt,
        delay,
        giveUpIn,
        code,
      })
    })
    upload.on('changed', ({ partNumbers }) => {
      say('changed', describeChanged(partNumbers), { partNumbers })
    })
    upload.on('warning', warning => {
      say('warning', warningOf(warning), { code: warning.code })
    })
    let holding: NodeJS.Timeout | undefined
    let isTold = false
    upload.on('stall', () => {
      holding = setTimeout(() => {
        isTold = true
        say('stall', 'the memory is full: the source is held')
      }, HELD_FOR).unref()
    })
    upload.on('resume', () => {
      clearTimeout(holding)
      if (isTold) say('resume', 'the source flows again')
      isTold = false
    })
    upload.on('close', () => clearTimeout(holding))
  }

  /** No more progress. */
  stop(): void {
    clearInterval(this.#timer)
    this.#erase()
  }

  /**
   * Waits for a terminal that was stopped, until `signal`: somebody will let it go on, and wants to
   * read how it ended. For 1 s where it is none, or in a hurry.
   */
  settle(signal: AbortSignal, isInHurry: boolean): Promise<void> {
    const patience = this.#stream.isTTY && !isInHurry ? undefined : LAST_WAIT
    return this.#outlet.settle(signal, patience)
  }

  #tick(): void {
    const now = performance.now()
    this.#rates?.take(now)
    if (!this.#rates || now - this.#shownAt < PAUSES[this.#mode] - TICK / 2) return
    this.#shownAt = now
    const { state } = this.#rates
    if (this.#mode === 'live') this.#draw(this.#describe(state))
    else if (this.#mode === 'plain')
      this.#outlet.offer(`${this.#secrets.hide(this.#describe(state))}\n`)
    else this.#outlet.offer(`${this.#secrets.json({ event: 'progress', ...state })}\n`)
  }

  /** Over what was drawn before. */
  #draw(line: string): void {
    const text = line.slice(0, (this.#stream.columns || 80) - 1)
    if (this.#outlet.offer(`${ERASE}${text}`)) this.#isDrawn = true
  }

  #erase(): void {
    if (!this.#isDrawn) return
    this.#isDrawn = false
    this.#write(ERASE)
  }

  /** Whoever read this may have left. The upload has not. */
  #write(text: string): void {
    this.#outlet.write(text).catch(() => {})
  }

  #line(event: string, text: string, details: object, tone: Tone = 'plain'): string {
    if (this.#mode === 'json') {
      return `${this.#secrets.json({ event, message: text, ...details })}\n`
    }
    const shown = withoutControls(`frameio-upload: ${text}`)
    return `${this.#secrets.hide(this.#paint(shown, tone))}\n`
  }

  /** In colour where it is a terminal that has it and NO_COLOR does not forbid it. */
  #paint(text: string, tone: Tone): string {
    const hasColors = this.#stream.isTTY && this.#stream.hasColors()
    if (tone === 'plain' || !hasColors) return text
    // styleText checks stdout for colours; this is stderr.
    return styleText(COLORS[tone], text, { validateStream: false })
  }
}

/**
 * Without what moves the cursor, changes colours or sets a title: what programs and servers say stands
 * in our lines, and that would tear the one that lives below.
 */
export const withoutControls = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  stripVTControlCharacters(text).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '')

const droppedText = (count: number) => `${count} messages were left out here: nobody read them`
