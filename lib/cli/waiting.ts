/**
 * What is said while the take cannot begin: that nothing is recorded meanwhile, and what it is that
 * fails. Of a second or two nobody needs to hear.
 */
import type { Retry } from '../net/retry.ts'
import type { Display } from './display.ts'
import { certificateAdvice, messageOf } from './failures.ts'
import { showTime } from './units.ts'

/** How long an answer is waited for before a word is said of it, in ms. */
const QUIET = 2_000

export class Waiting {
  readonly display: Display
  /** What has not begun. */
  readonly #take: 'recorded' | 'uploaded'
  /** The last failure, and when it was. */
  #failed: (Retry & { readonly at: number }) | undefined
  /** What is waited for where nothing has failed. */
  #silence = 'Frame.io has not answered yet'
  #isQuiet = true
  /** What was said last. */
  #said = ''

  constructor(display: Display, take: 'recorded' | 'uploaded') {
    this.display = display
    this.#take = take
  }

  /** A question failed, and will be asked again. */
  readonly onRetry = (retry: Retry): void => {
    this.#failed = { ...retry, at: performance.now() }
    if (!this.#isQuiet) this.#say()
  }

  /** What is said of a silence while this lasts. */
  async during<T>(silence: string, answer: Promise<T>): Promise<T> {
    const before = this.#silence
    this.#silence = silence
    return answer.finally(() => {
      this.#silence = before
    })
  }

  /** Says what is waited for, if that takes long. */
  async for<T>(answer: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      this.#isQuiet = false
      this.#say()
    }, QUIET)
    return answer.finally(() => clearTimeout(timer))
  }

  /** A reason is said once, however often it comes. */
  #say(): void {
    const { error } = this.#failed ?? {}
    const reason = error ? messageOf(error) : this.#silence
    if (reason === this.#said) return
    this.#said = reason
    const text = `${reason}; ${this.#goesOn()}nothing is ${this.#take} yet`
    const lines = [text, error && certificateAdvice(error)].filter(line => line !== undefined)
    this.display.say('waiting', lines.join('\n  '), { code: error?.code })
  }

  /** How long it goes on. */
  #goesOn(): string {
    if (!this.#failed) return ''
    const { giveUpIn, at } = this.#failed
    const left = Math.max(1_000, giveUpIn - (performance.now() - at))
    return left === Number.POSITIVE_INFINITY
      ? 'it is tried again and again, and '
      : `it is tried for ${showTime(left / 1_000)} more, and `
  }
}
