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
import { fileNameOf } from '../file-name.ts'
import type { WirePart } from '../frameio/protocol.ts'
import { listOf, tryToMake } from './files.ts'
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

/** Where assembled files go. */
export interface Folder {
  readonly dir: string
  /** Does it outlive the sandbox? */
  readonly isKept: boolean
}

export class Asset implements SandboxAsset {
  readonly id = randomUUID()
  readonly filetype: string
  readonly offset: number | undefined
  readonly channel: number | undefined
  readonly createdAt = new Date().toISOString()
  name: string
  uploadCompletedAt: string | undefined
  uploadFailedAt: string | undefined
  filesize: number | undefined
  storedBytes = 0
  path: string | undefined
  sha256: string | undefined

  readonly #parts = new Map<number, Part>()
  readonly #storage: Storage
  readonly #dir: string | undefined
  readonly #isKept: boolean
  readonly #uploaded = deferred()
  #unnamed: boolean
  #complete = false
  /** Assembly. Never rejects: a failure goes to `whenUploaded()`. */
  #work = Promise.resolve()

  /**
   * @param folder in which the asset gets a folder for its assembled file, and whether it is kept when
   *   the sandbox closes.
   * @throws where the disk takes no file of this name
   */
  constructor(wanted: NewAsset, storage: Storage, folder: Folder | undefined) {
    const { name, unnamed, filetype, offset, channel } = wanted
    this.name = name
    this.filetype = filetype
    this.offset = offset
    this.channel = channel
    this.#unnamed = unnamed
    this.#storage = storage
    this.#dir = folder && join(folder.dir, this.id)
    this.#isKept = folder?.isKept ?? false
    if (folder) tryToMake(this.#target)
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

  get files() {
    return this.path === undefined ? this.#storage.filesOf(this.id) : [this.path]
  }

  /** Is it still being uploaded? What comes for it later is not stored any more. */
  get isOpen() {
    return !this.#complete
  }

  /** Are there parts, but not the first? */
  get awaitsHead() {
    return this.#parts.size > 0 && !this.#parts.has(1)
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
    if (this.#complete) return
    const part = this.#parts.get(number)
    if (!part) return
    this.storedBytes += size - (part.storedSize ?? 0)
    part.storedSize = size
    this.#assembleIfComplete()
  }

  /** The sandbox closes: what is being assembled is still made a file. */
  async end() {
    await this.#work
    const { files } = this
    const kept =
      this.#isKept && files.length > 0 ? `; what is stored of it is kept: ${listOf(files)}` : ''
    this.#uploaded.reject(new Error(`The sandbox was closed before the upload was complete${kept}`))
  }

  /** Removes every byte of it. */
  async remove() {
    this.#complete = true
    await this.#work
    this.#uploaded.reject(new Error(`The asset ${this.id} was deleted`))
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
    this.#work = this.#assemble()
  }

  async #assemble() {
    const stored = this.#sorted().filter(({ storedSize }) => storedSize !== undefined)
    const numbers = stored.map(({ number }) => number)
    try {
      const file = await this.#storage.assemble(this.id, numbers, this.#target)
      this.path = file?.path
      this.sha256 = file?.sha256
      this.uploadCompletedAt = new Date().toISOString()
      this.#uploaded.resolve()
    } catch (error) {
      this.uploadFailedAt = new Date().toISOString()
      this.#uploaded.reject(this.#notAssembled(error as NodeJS.ErrnoException))
    }
  }

  #notAssembled(cause: NodeJS.ErrnoException): Error {
    const { files, name } = this
    const whereabouts = this.#isKept ? 'is kept' : 'is there until the sandbox closes'
    const all = files.length === 0 ? '' : `; every byte of it ${whereabouts}: ${listOf(files)}`
    const error = new Error(`'${name}' could not be put together: ${cause.message}${all}`, {
      cause,
    })
    return Object.assign(error, { code: cause.code })
  }

  /** Where the assembled file goes. */
  get #target(): string {
    return join(this.#dir ?? '', fileNameOf(this.name))
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
