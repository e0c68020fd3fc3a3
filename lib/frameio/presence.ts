/**
 * A Camera to Cloud device counts as offline five minutes after its last call to Frame.io's API, and PUTs
 * to S3 are no such calls (Frame.io's C2C guide): so while parts grow and calls are rare, a heartbeat
 * says that it is there.
 *
 *   a call was answered, or an upload began ──► nothing for `silence` ──► heartbeat, `atMostEvery` at most
 */

/** Times in ms. */
export interface PresenceRules {
  /** Without a call for so long, a heartbeat is due. */
  readonly silence: number
  /** Heartbeats that fail, too, are no nearer to each other than this. */
  readonly atMostEvery: number
}

/** Every 120 s is advised, every 60 s allowed, every 300 s demanded (Frame.io's C2C guide). */
const RULES: PresenceRules = { silence: 120_000, atMostEvery: 60_000 }

/** The door by which tests shorten them. It is not exported from the package. */
export const PRESENCE_DOOR: unique symbol = Symbol('presence')

export const presenceRulesOf = (options: object): PresenceRules => ({
  ...RULES,
  ...(options as { [PRESENCE_DOOR]?: Partial<PresenceRules> })[PRESENCE_DOOR],
})

export class Presence {
  readonly #rules: PresenceRules
  /** Who is at work, until its signal aborts, and how it sends a heartbeat. */
  readonly #atWork = new Map<AbortSignal, () => Promise<void>>()
  /** When Frame.io last heard of the device. */
  #heardAt = Number.NEGATIVE_INFINITY
  #beatAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(rules: PresenceRules) {
    this.#rules = rules
  }

  /** A call was answered. */
  heard(): void {
    this.#heardAt = performance.now()
  }

  /** From now on, until the signal aborts, the device is to be seen. What `beat` fails with is dropped. */
  enter(signal: AbortSignal, beat: () => Promise<void>): void {
    if (signal.aborted) return
    if (this.#atWork.size === 0) this.heard()
    this.#atWork.set(signal, beat)
    const leave = () => {
      this.#atWork.delete(signal)
      if (this.#atWork.size === 0) clearTimeout(this.#timer)
    }
    signal.addEventListener('abort', leave, { once: true })
    this.#look()
  }

  #look(): void {
    clearTimeout(this.#timer)
    const [beat] = this.#atWork.values()
    if (!beat) return
    const { silence, atMostEvery } = this.#rules
    const now = performance.now()
    const wait = Math.max(this.#heardAt + silence, this.#beatAt + atMostEvery) - now
    if (wait > 0) {
      // No process must live on for this alone.
      this.#timer = setTimeout(() => this.#look(), wait).unref()
      return
    }
    // A heartbeat that fails is no failure of the upload's: the next one may get through.
    const look = () => this.#look()
    beat().then(look, look)
    this.#beatAt = performance.now()
  }
}
