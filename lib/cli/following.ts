/**
 * A file that is followed, as the command sees it: what is said of it, and who may say that it is over.
 */
import { existsSync } from 'node:fs'
import type { FileSource } from '../follow/options.ts'
import type { Reason } from '../follow/over.ts'
import type { SourceEnd } from '../sources/source-end.ts'
import type { Display } from './display.ts'
import type { FollowSettings } from './follow-settings.ts'
import { watchProcess } from './process-watch.ts'
import { showTime } from './units.ts'

/** How long the file may take to appear, in ms. */
const APPEAR = 60_000

/** What to do about a file that was not finished when it was over, by why it seemed to be over. */
const ADVICE: Record<Reason, string> = {
  told: 'It was said to be over before its writer had finished it: let the recorder stop first.',
  idle: 'If it was still being written, a longer --idle, or --until-pid, tells when it is over.',
  closed:
    'Its writer has closed it so: see whether it plays, and upload it anew once it is mended.',
}

export class Following {
  readonly #settings: FollowSettings
  readonly #display: Display
  readonly #fate: string
  readonly #ending = new AbortController()
  #timer: NodeJS.Timeout | undefined

  /** @param fate what becomes of what the file holds, such as `'finalised'` */
  constructor(settings: FollowSettings, display: Display, fate: string) {
    this.#settings = settings
    this.#display = display
    this.#fate = fate
  }

  get source(): FileSource {
    const { file, idle, verify } = this.#settings
    return { file, follow: { idle, verify, appear: APPEAR, ended: this.#ending.signal } }
  }

  /** @param isOver is it known already that the recording is over? */
  begin(isOver: () => boolean): void {
    const { file, untilPid } = this.#settings
    if (!existsSync(file)) {
      const text = `${file} is not there yet: it is waited for, ${showTime(APPEAR / 1_000)} at most`
      this.#display.say('waiting', text, { file })
    }
    if (untilPid === undefined) return
    this.#timer = watchProcess(untilPid, () => {
      if (isOver()) return
      const text = `process ${untilPid} is gone: what ${file} holds is being ${this.#fate}`
      this.#display.say('ending', text, { pid: untilPid })
      this.end()
    })
  }

  /** What a signal that asks for a good end means, in a sentence. */
  get ending(): string {
    const { file } = this.#settings
    return existsSync(file)
      ? `${file} counts as over now; what it holds is being ${this.#fate}`
      : `${file} is not there, and is not waited for any longer`
  }

  /** It is over now. */
  end(): void {
    this.#ending.abort()
  }

  /** Nobody asks any more whether it is over. */
  close(): void {
    clearInterval(this.#timer)
  }

  /** Its head says that it is not finished. */
  tellOfUnfinished({ reason }: SourceEnd): void {
    const text = `${this.#settings.file} was not finished: what it holds ${this.#fate === 'finalised' ? 'is uploaded and finalised' : 'is uploaded'}`
    const advice = reason === undefined ? [] : [ADVICE[reason]]
    this.#display.say('source-unfinished', [text, ...advice].join('\n  '), { reason }, 'bad')
  }

  /** What goes on after a take that failed, in a sentence. @param dir of the spool @param line that finishes it */
  resumable(dir: string, line: string): string {
    const { file } = this.#settings
    return `What went up is noted in ${dir}: ${line} goes on with it, as long as ${file} is there.`
  }
}
