/**
 * Ctrl-C before the take. Nothing is recorded, so the command ends at once; but an asset that is just
 * being created is waited for, and deleted: else it stays for ever, and nobody knows its id. So is a
 * sandbox that is just being made, with its folders.
 */

import type { Display } from './display.ts'
import type { Discarded, Target } from './target.ts'

/** How long Frame.io, or a disk, may take to answer, in ms. */
const GRACE = 3_000

/** What is about to begin. */
export interface Beginning {
  /** Is something made for it? */
  readonly isCreating: boolean
  readonly isFollowed: boolean
}

export class EarlyEnd {
  readonly #beginning: Beginning
  readonly #display: Display
  readonly #exit: () => void
  #isAsked = false
  #timer: NodeJS.Timeout | undefined

  constructor(beginning: Beginning, display: Display, exit: () => void) {
    this.#beginning = beginning
    this.#display = display
    this.#exit = exit
  }

  get isAsked(): boolean {
    return this.#isAsked
  }

  /** A signal came; a second one does not wait. */
  readonly ask = (): void => {
    if (this.#isAsked) {
      this.#exit()
      return
    }
    this.#isAsked = true
    const { isCreating, isFollowed } = this.#beginning
    const text = `aborted before anything was ${isFollowed ? 'uploaded' : 'recorded'}`
    this.#display.say('aborted', text, {}, 'bad')
    if (isCreating) this.#timer = setTimeout(this.#exit, GRACE)
    else this.#exit()
  }

  /** There is a target now. Was it asked to end meanwhile? */
  async tookBack(target: Pick<Target, 'discard'>): Promise<boolean> {
    clearTimeout(this.#timer)
    if (this.#isAsked && target.discard) sayDiscarded(await target.discard(), this.#display)
    return this.#isAsked
  }
}

export const sayDiscarded = ({ text, isDeleted }: Discarded, display: Display): void =>
  display.say('discarded', text, { deleted: isDeleted }, isDeleted ? 'plain' : 'bad')
