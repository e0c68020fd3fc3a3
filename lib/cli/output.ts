/**
 * Stdout, which has the result alone.
 */
import type { Display } from './display.ts'
import { Outlet } from './outlet.ts'
import type { Secrets } from './secrets.ts'

/** How long whoever reads is waited for. */
export interface Patience {
  /** Aborts when nobody is to be waited for any more. */
  readonly leaving: AbortSignal
  /** Has somebody asked for an end? Then 1 s at most. */
  readonly isHurried: boolean
}

const ENDLESS: Patience = { leaving: new AbortController().signal, isHurried: false }

/** In ms. */
const HURRY = 1_000

let stdout: Outlet | undefined

/**
 * Writes a line to stdout. Whoever read it may have left, which is no reason to call a take failed;
 * what a full disk does not take will be looked for.
 *
 * @returns why it could not be written; undefined where it was, or nobody reads it
 */
export const print = async (text: string, patience = ENDLESS): Promise<Error | undefined> => {
  // One for all lines: each listens to stdout, and has a descriptor of its own for a terminal.
  stdout ??= new Outlet(process.stdout)
  let unwritten: Error | undefined
  stdout.write(`${text}\n`).catch(error => {
    if (error.code !== 'EPIPE') unwritten = error
  })
  await stdout.settle(patience.leaving, patience.isHurried ? HURRY : undefined)
  return unwritten
}

/** Tells the result of a take: on stdout, or where that takes nothing, with what went wrong. */
export class Output {
  readonly #isJson: boolean
  readonly #display: Display
  readonly #secrets: Secrets
  readonly #patience: Patience

  constructor(isJson: boolean, display: Display, secrets: Secrets, patience: Patience) {
    this.#isJson = isJson
    this.#display = display
    this.#secrets = secrets
    this.#patience = patience
  }

  /**
   * @param line the result as text
   * @returns whether it stands where it belongs
   */
  async tell(result: object, line = ''): Promise<boolean> {
    const unwritten = await print(this.#isJson ? this.#secrets.json(result) : line, this.#patience)
    if (!unwritten) return true
    const message = `stdout takes nothing (${unwritten.message}), so here is the result: ${line}`
    this.#display.say('unwritten', message, { result }, 'bad')
    return false
  }
}
