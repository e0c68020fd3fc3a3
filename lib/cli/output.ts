/**
 * Stdout, which has the result alone.
 */
import type { Display } from './display.ts'
import type { Secrets } from './secrets.ts'

/**
 * Writes a line to stdout. Whoever read it may have left, which is no reason to call a take failed;
 * what a full disk does not take will be looked for.
 *
 * @returns why it could not be written; undefined where it was, or nobody reads it
 */
export const print = (text: string): Promise<Error | undefined> =>
  new Promise(resolve => {
    const end = (error?: Error | null) => {
      const hasLeft = (error as NodeJS.ErrnoException | undefined)?.code === 'EPIPE'
      resolve(hasLeft ? undefined : (error ?? undefined))
    }
    process.stdout.on('error', end)
    process.stdout.write(`${text}\n`, end)
  })

/** Tells the result of a take: on stdout, or where that takes nothing, with what went wrong. */
export class Output {
  readonly #isJson: boolean
  readonly #display: Display
  readonly #secrets: Secrets

  constructor(isJson: boolean, display: Display, secrets: Secrets) {
    this.#isJson = isJson
    this.#display = display
    this.#secrets = secrets
  }

  /**
   * @param line the result as text
   * @returns whether it stands where it belongs
   */
  async tell(result: object, line = ''): Promise<boolean> {
    const unwritten = await print(this.#isJson ? this.#secrets.json(result) : line)
    if (!unwritten) return true
    const message = `stdout takes nothing (${unwritten.message}), so here is the result: ${line}`
    this.#display.say('unwritten', message, { result }, 'bad')
    return false
  }
}
