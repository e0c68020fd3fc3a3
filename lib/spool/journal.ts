/**
 * The journal of a spool: what became of an upload, a record a line, append only.
 *
 *     3f2a9c01 {"d":311,"t":"part","n":1,"size":5242880,"crc":907060870}\n
 *     ───┬──── ──┬────
 *        │       └ bytes of the journal that were known to be durable when the line was written
 *        └ CRC-32 of the JSON, in hex
 *
 * A bad line below the `d` of a later one has rotted: it was durable. Any other bad line begins a torn
 * tail, whether or not good lines stand behind it: the pages of one sync may land in any order.
 *
 * Nothing here may hold a token or a URL: `origin` is compared, and never used as an address.
 */
import { crc32 } from 'node:zlib'
import { type DiskFile, isFull } from './disk.ts'

/** Of the format. A journal of another is refused. */
const VERSION = 1

/** What is to be uploaded, and as what. The first record, durable before a byte is taken in. */
export interface Opening {
  readonly assetId: string
  readonly filetype: string
  /** Of Frame.io's API. */
  readonly origin: string
  /** `clientVersion` of a Camera to Cloud device. */
  readonly device?: string | undefined
  readonly assetName?: string | undefined
  readonly partSize: number
  readonly maxSize: number
  readonly expectedSize?: number | undefined
  readonly integrity?: 'md5' | undefined
  /** Part 1 goes last; `'wav'`: with the sizes of a WAV mended. */
  readonly lateHead?: true | 'wav' | undefined
  /** The name of the file as which the take stays: its parts lie in that, and in no files of their own. */
  readonly keep?: string | undefined
}

/** A file that somebody else writes, as a journal knows it. */
export interface SourceFile {
  /** Absolute. */
  readonly path: string
  /** Its device and its number there: whether it is the same file the sums of its parts decide. */
  readonly dev: string
  readonly ino: string
  /** It does not grow. */
  readonly isFinished: boolean
}

export type Entry =
  | ({ readonly t: 'open'; readonly version: number } & Opening)
  /**
   * The first `at` bytes of part `n` lie in its file, with this CRC; `whole`: it takes no more; `synced`:
   * they were durable before this line was written.
   */
  | {
      readonly t: 'mark'
      readonly n: number
      readonly at: number
      readonly crc: number
      readonly whole?: true | undefined
      readonly synced?: true | undefined
    }
  /** Part `n` does not lie whole on the disk, and is about to be registered. */
  | { readonly t: 'mem'; readonly n: number; readonly size: number }
  /** Part `n` is complete in its file. A second one replaces the first. */
  | { readonly t: 'part'; readonly n: number; readonly size: number; readonly crc: number }
  /**
   * The stream has ended: nothing changes the number of parts or of bytes any more. `isGuess`: it was cut
   * off behind a whole part, which may be registered already, as one that others follow.
   */
  | {
      readonly t: 'final'
      readonly parts: number
      readonly total: number
      readonly isGuess?: true | undefined
    }
  /** S3 has part `n`; with its CRC where it is a range of a file, which may be changed later. */
  | {
      readonly t: 'stored'
      readonly n: number
      readonly size: number
      readonly crc?: number | undefined
    }
  /** The parts are ranges of this file, and none of them lies here. */
  | ({ readonly t: 'source' } & SourceFile)
  /** S3 has every part. */
  | { readonly t: 'done' }

export const opening = (open: Opening): Entry => ({ t: 'open', version: VERSION, ...open })

/** How a journal begins, in bytes, and whether that is one of ours. */
export const HEAD_SIZE = 26
export const isHead = (head: Buffer): boolean =>
  /^[0-9a-f]{8} \{"d":0,"t":"open"/.test(head.toString('latin1'))

/** A line of the journal. @param durable bytes of the journal that are known to be durable */
export const lineOf = (entry: object, durable: number): string => {
  const json = JSON.stringify({ d: durable, ...entry })
  return `${hex(crc32(json))} ${json}\n`
}

const hex = (crc: number) => crc.toString(16).padStart(8, '0')

type Chunks = Iterable<Buffer> | AsyncIterable<Buffer>

interface Extent {
  /** Bytes of good lines: what stands behind is torn. */
  readonly end: number
  /** Where a line that was durable is bad. */
  readonly damagedAt: number | undefined
}

export interface Reading extends Extent {
  readonly entries: readonly Entry[]
  /** Written by a version of this library that knows more. */
  readonly isForeign: boolean
}

/**
 * What the journal of an upload holds, but for marks of parts that a later line tells more of: of a
 * recording of terabytes there are millions of them.
 */
export const readJournal = async (chunks: Chunks): Promise<Reading> => {
  const entries: Entry[] = []
  let marks: Extract<Entry, { t: 'mark' }>[] = []
  /** The last part that is known by more than marks. */
  let last = 0
  let isForeign = false
  const extent = await readLines<Entry>(chunks, line => {
    isForeign ||= !isEntry(line)
    if (line.t !== 'mark') entries.push(line)
    else if (line.n > last) marks.push(line)
    if (line.t === 'part' || line.t === 'mem' || line.t === 'stored') {
      last = Math.max(last, line.n)
      marks = marks.filter(({ n }) => n > last)
    }
  })
  return { entries: [...entries, ...marks], ...extent, isForeign }
}

/** Goes through the good lines of a journal, whatever they say. */
export const readLines = async <E extends object>(
  chunks: Chunks,
  onLine: (line: E) => void,
): Promise<Extent> => {
  let at = 0
  let end: number | undefined
  for await (const bytes of linesOf(chunks)) {
    const line = bytes.at(-1) === FEED ? parse<E>(bytes.subarray(0, -1)) : undefined
    if (line && end !== undefined && line.d > end) return { end, damagedAt: end }
    if (!line) end ??= at
    else if (end === undefined) onLine(line)
    at += bytes.length
  }
  return { end: end ?? at, damagedAt: undefined }
}

const FEED = 10

/** Lines with their feeds; the last may lack it. */
async function* linesOf(chunks: Chunks): AsyncGenerator<Buffer> {
  let begun: Buffer[] = []
  for await (const chunk of chunks) {
    let at = 0
    for (let feed = chunk.indexOf(FEED); feed >= 0; feed = chunk.indexOf(FEED, at)) {
      const rest = chunk.subarray(at, feed + 1)
      yield begun.length === 0 ? rest : Buffer.concat([...begun, rest])
      begun = []
      at = feed + 1
    }
    if (at < chunk.length) begun.push(chunk.subarray(at))
  }
  if (begun.length > 0) yield Buffer.concat(begun)
}

const KINDS = new Set<Entry['t']>([
  'open',
  'mark',
  'mem',
  'part',
  'final',
  'stored',
  'source',
  'done',
])

const isEntry = (line: Entry): boolean =>
  KINDS.has(line.t) && (line.t !== 'open' || line.version === VERSION)

const parse = <E extends object>(line: Buffer): (E & { readonly d: number }) | undefined => {
  const json = line.subarray(9)
  const isWhole = line[8] === 0x20 && line.toString('latin1', 0, 8) === hex(crc32(json))
  if (!isWhole) return undefined
  try {
    return JSON.parse(json.toString())
  } catch {
    return undefined // A CRC of garbage that holds by chance.
  }
}

/** A journal, open for more. One call at a time reaches the disk. */
export class Journal<E extends object = Entry> {
  readonly #file: DiskFile
  readonly #makeRoom: () => Promise<boolean>
  /** Bytes on the disk, and those of them that are durable. */
  #end: number
  #durable: number
  #lines: E[] = []
  #last: Promise<unknown> = Promise.resolve()
  /** Why nothing can be made durable any more: a sync that failed is never repeated. */
  #failure: Error | undefined

  /**
   * @param end bytes of good lines in it, all durable
   * @param makeRoom called where the disk is full; whether another try is worth making
   */
  constructor(file: DiskFile, end: number, makeRoom: () => Promise<boolean>) {
    this.#file = file
    this.#end = end
    this.#durable = end
    this.#makeRoom = makeRoom
  }

  /** Remembers an entry for the next `write` or `sync`. */
  add(...entries: readonly E[]): void {
    this.#lines.push(...entries)
  }

  /** Writes what was added: it survives the death of this process. */
  write(): Promise<void> {
    return this.#next(() => this.#write())
  }

  /** Makes durable what was added. */
  sync(): Promise<void> {
    return this.#next(async () => {
      if (this.#failure) throw this.#failure
      await this.#write()
      const end = this.#end
      if (end === this.#durable) return
      await this.#file.sync().catch(error => {
        this.#failure = error
        throw error
      })
      this.#durable = end
    })
  }

  close(): Promise<void> {
    return this.#next(() => this.#file.close())
  }

  async #write(): Promise<void> {
    if (this.#lines.length === 0) return
    const lines = this.#lines.splice(0)
    const bytes = Buffer.from(lines.map(entry => lineOf(entry, this.#durable)).join(''))
    try {
      await this.#file.write([bytes], this.#end)
    } catch (error) {
      await this.#file.cut(this.#end) // Half a line would be a torn tail in the middle.
      if (!isFull(error) || !(await this.#makeRoom())) throw error
      await this.#file.write([bytes], this.#end)
    }
    this.#end += bytes.length
  }

  #next<T>(call: () => Promise<T>): Promise<T> {
    const next = this.#last.then(call)
    this.#last = next.catch(() => {})
    return next
  }
}
