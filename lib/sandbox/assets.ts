/**
 * Assets: what is registered, what is stored, and the moment when the one equals the other.
 *
 *   created ──(final part registered, stored bytes = asset_filesize)──► assembling ──► uploaded
 *
 * Nothing tells Frame.io that an upload is complete but that sum: numbers may be skipped, and parts
 * may come in any order.
 */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { WirePart } from '../frameio/protocol.ts'
import { type NewAsset, Refusal, type Registration } from './rules.ts'
import type { Storage } from './storage.ts'
import type { SandboxAsset } from './types.ts'

interface Part {
  readonly number: number
  readonly size: number
  readonly final: boolean
  storedSize: number | undefined
  registrations: number
  puts: number
}

export class Asset implements SandboxAsset {
  readonly id = randomUUID()
  readonly filetype: string
  readonly createdAt = new Date().toISOString()
  name: string
  uploadCompletedAt: string | undefined
  filesize: number | undefined
  storedBytes = 0
  path: string | undefined
  sha256: string | undefined

  readonly #parts = new Map<number, Part>()
  readonly #storage: Storage
  readonly #dir: string | undefined
  readonly #uploaded = deferred()
  #unnamed: boolean
  #complete = false
  /** Assembly, and what has to wait for it. Never rejects: a failure goes to `whenUploaded()`. */
  #work = Promise.resolve()

  /** @param dir in which the asset gets a folder for its assembled file. */
  constructor({ name, unnamed, filetype }: NewAsset, storage: Storage, dir: string | undefined) {
    this.name = name
    this.filetype = filetype
    this.#unnamed = unnamed
    this.#storage = storage
    this.#dir = dir && join(dir, this.id)
  }

  get status() {
    return this.uploadCompletedAt === undefined ? 'created' : 'uploaded'
  }

  get parts() {
    return this.#sorted().map(({ storedSize, ...part }) => ({
      ...part,
      stored: storedSize !== undefined,
    }))
  }

  get finals() {
    return this.parts.filter(({ final }) => final).length
  }

  whenUploaded() {
    return this.#uploaded.promise
  }

  /**
   * Registers all of these parts, or none.
   *
   * @returns their URLs, in the same order.
   */
  register({ parts, filesize, name }: Registration): Promise<string[]> {
    this.#checkFinal(parts, filesize)
    for (const part of parts) this.#checkPart(part)

    for (const { number, size, is_final: final } of parts) {
      const part = this.#parts.get(number) ?? fresh(number, size, final)
      part.registrations += 1
      this.#parts.set(number, part)
    }
    this.filesize ??= filesize
    if (name !== undefined && this.#unnamed) {
      this.name = name
      this.#unnamed = false
    }
    this.#assembleIfComplete()
    return Promise.all(
      parts.map(({ number }) => this.#storage.presign(this.id, number, this.filetype)),
    )
  }

  /** A PUT for this part arrived. */
  arrived(number: number) {
    const part = this.#parts.get(number)
    if (part) part.puts += 1
  }

  /** A PUT stored so many bytes for this part. S3 does not compare them with what was registered. */
  stored(number: number, size: number) {
    if (this.#complete) {
      // the file is made, or being made, of what was there before
      this.#after(() => this.#storage.remove(this.id, [number]))
      return
    }
    const part = this.#parts.get(number)
    if (!part) return
    this.storedBytes += size - (part.storedSize ?? 0)
    part.storedSize = size
    this.#assembleIfComplete()
  }

  /** Ends what is under way. `whenUploaded()` rejects with this reason, if it still can. */
  async end(reason: string) {
    this.#uploaded.reject(new Error(reason))
    await this.#work
  }

  /** Removes every byte of it. */
  async remove() {
    await this.end(`The asset ${this.id} was deleted`)
    await this.#storage.remove(this.id, [...this.#parts.keys()])
    if (this.#dir !== undefined) await rm(this.#dir, { recursive: true, force: true })
  }

  #checkPart({ number, size, is_final: final }: WirePart) {
    const known = this.#parts.get(number)
    if (known ? known.size === size && known.final === final : !this.#complete) return
    throw new Refusal(
      400,
      known
        ? `part ${number} is registered with size ${known.size} and is_final ${known.final}; it cannot change`
        : `part ${number} is new, and the asset is complete`,
    )
  }

  /** The final part is one and the same in all calls, and the last by its number. */
  #checkFinal(parts: readonly WirePart[], filesize: number | undefined) {
    const final = parts.find(part => part.is_final) ?? this.#sorted().find(part => part.final)
    if (!final) return
    for (const { number, final: isFinal } of this.#parts.values()) {
      if (isFinal && number !== final.number) {
        throw new Refusal(400, `part ${number} is final already; there cannot be a second`)
      }
    }
    const last = Math.max(...this.#parts.keys(), ...parts.map(({ number }) => number))
    if (last > final.number) {
      throw new Refusal(400, `the final part must be the last: ${last} is after ${final.number}`)
    }
    if (filesize !== undefined && this.filesize !== undefined && filesize !== this.filesize) {
      throw new Refusal(400, `asset_filesize is ${this.filesize}; it cannot change`)
    }
  }

  #assembleIfComplete() {
    if (this.#complete || this.storedBytes !== this.filesize) return
    this.#complete = true
    this.#after(async () => {
      const numbers = this.#sorted().filter(part => part.storedSize !== undefined)
      const file = await this.#storage.assemble(
        this.id,
        numbers.map(({ number }) => number),
        join(this.#dir ?? '', fileName(this.name)),
      )
      this.path = file?.path
      this.sha256 = file?.sha256
      this.uploadCompletedAt = new Date().toISOString()
      this.#uploaded.resolve()
    })
  }

  #after(step: () => Promise<void>) {
    this.#work = this.#work.then(step).catch(this.#uploaded.reject)
  }

  #sorted() {
    return [...this.#parts.values()].sort((a, b) => a.number - b.number)
  }
}

const fresh = (number: number, size: number, final: boolean): Part => ({
  number,
  size,
  final,
  storedSize: undefined,
  registrations: 0,
  puts: 0,
})

/** A name that stays in its folder, on any file system. */
const fileName = (name: string) => name.replace(/[\p{Cc}<>:"/\\|?*]/gu, '_').replace(/^\.+/, '_')

const deferred = () => {
  let resolve = () => {}
  let reject = (_reason: unknown) => {}
  const promise = new Promise<void>((onDone, onFailure) => {
    resolve = onDone
    reject = onFailure
  })
  // nobody has to wait for it
  promise.catch(() => {})
  return { promise, resolve, reject }
}
