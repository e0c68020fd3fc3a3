/**
 * A disk that forgets: it remembers every call, and shows what may lie on it if the power goes after any
 * of them. Bytes and names are durable each on their own.
 */
import { basename, dirname } from 'node:path'
import type { Disk, DiskFile } from '../../lib/spool/disk.ts'

type Call =
  | { readonly t: 'make'; readonly path: string; readonly id: number }
  | { readonly t: 'write'; readonly id: number; readonly at: number; readonly bytes: Buffer }
  | { readonly t: 'cut'; readonly id: number; readonly size: number }
  | { readonly t: 'sync'; readonly id: number }
  | { readonly t: 'syncFolder'; readonly path: string }
  | { readonly t: 'rename'; readonly from: string; readonly to: string }
  | { readonly t: 'remove'; readonly path: string }

/** What a power cut makes of what was not durable. */
export type Fate = 'kept' | 'lost' | 'torn at 512' | 'torn at 4096' | 'garbage'
export const FATES: readonly Fate[] = ['kept', 'lost', 'torn at 512', 'torn at 4096', 'garbage']

/** Numbers from 0 to 1. */
export type Random = () => number

interface File {
  live: Buffer
  durable: Buffer
  /** Where it was written to, or cut, since it was durable. */
  dirty: { from: number; to: number }[]
}

export class LyingDisk implements Disk {
  readonly calls: Call[] = []
  readonly #files = new Map<number, File>()
  readonly #names = new Map<string, number>()
  #ids = 0
  /** What was on it at first, durable. */
  readonly #given: { readonly path: string; readonly id: number; readonly bytes: Buffer }[] = []
  /** Thrown by calls of this kind, once so many of them have gone well, as often as it says. */
  readonly faults: { on: Call['t'] | 'open'; after: number; times: number; error: Error }[] = []
  /** The calls that failed so. */
  readonly failed: (Call | { readonly t: 'open' })[] = []
  /** Bytes that fit. */
  capacity = Number.POSITIVE_INFINITY

  /** One that holds these files, all durable. */
  static of(files: ReadonlyMap<string, Buffer>): LyingDisk {
    const disk = new LyingDisk()
    for (const [path, bytes] of files) {
      const id = ++disk.#ids
      disk.#given.push({ path, id, bytes })
      disk.#names.set(path, id)
      disk.#files.set(id, fileOf(bytes))
    }
    return disk
  }

  /** As it was after so many calls. Whoever used it was killed, and it goes on: nothing is lost. */
  after(calls: number): LyingDisk {
    const disk = new LyingDisk()
    const { files, live } = this.#replay(calls)
    disk.#given.push(...this.#given)
    disk.calls.push(...this.calls.slice(0, calls))
    disk.#ids = this.#ids
    for (const [id, file] of files) disk.#files.set(id, file)
    for (const [path, id] of live) disk.#names.set(path, id)
    return disk
  }

  /** The files as they are. */
  get files(): ReadonlyMap<string, Buffer> {
    return new Map([...this.#names].map(([path, id]) => [path, (this.#files.get(id) as File).live]))
  }

  /** What lies on the disk if the power goes after so many calls. */
  crash(calls: number, fate: Fate, random: Random): Map<string, Buffer> {
    const { files, live, durable } = this.#replay(calls)
    const names = new Map<string, number>()
    // A file that gets another name has one of both at any time: that much the file system promises.
    const renamed = new Map(
      this.calls
        .slice(0, calls)
        .flatMap(call => (call.t === 'rename' ? [[call.from, call.to] as const] : [])),
    )
    const coins = new Map<string, boolean>()
    const falls = (path: string) => {
      const coin = coins.get(path) ?? random() < 0.5
      coins.set(path, coin)
      return coin
    }
    for (const path of new Set([...live.keys(), ...durable.keys()])) {
      const [now, before] = [live.get(path), durable.get(path)]
      const keeps = fate === 'kept' || (fate !== 'lost' && falls(renamed.get(path) ?? path))
      const id = keeps ? now : before
      if (id !== undefined) names.set(path, id)
    }
    return new Map(
      [...names].map(([path, id]) => [path, remains(files.get(id) as File, fate, random)]),
    )
  }

  async makeFolder(): Promise<void> {}

  async list(path: string): Promise<string[]> {
    return [...this.#names.keys()]
      .filter(name => dirname(name) === path)
      .map(name => basename(name))
  }

  async size(path: string): Promise<number | undefined> {
    const id = this.#names.get(path)
    return id === undefined ? undefined : this.#files.get(id)?.live.length
  }

  async open(path: string): Promise<DiskFile> {
    this.#fault({ t: 'open' })
    const known = this.#names.get(path)
    const id = known ?? ++this.#ids
    if (known === undefined) {
      const call = { t: 'make', path, id } as const
      this.#fault(call)
      this.#names.set(path, id)
      this.#files.set(id, fileOf(Buffer.alloc(0)))
      this.calls.push(call)
    }
    const file = this.#files.get(id) as File
    let isNew = known === undefined
    const call = (call: Call & { id: number }) => {
      this.#fault(call)
      this.calls.push(call)
      apply(file, call)
    }
    return {
      write: async (chunks, at) => {
        await turn()
        const bytes = Buffer.concat(chunks)
        const free =
          this.capacity -
          [...this.#names.values()].reduce(
            (sum, other) => sum + (this.#files.get(other)?.live.length ?? 0),
            0,
          )
        const grows = Math.max(0, at + bytes.length - file.live.length)
        if (grows > free) {
          const fits = bytes.subarray(0, Math.max(0, bytes.length - (grows - free)))
          if (fits.length > 0) call({ t: 'write', id, at, bytes: fits })
          throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
        }
        call({ t: 'write', id, at, bytes })
      },
      read: async (into, at) => {
        await turn()
        return file.live.copy(into, 0, at)
      },
      size: async () => file.live.length,
      cut: async size => call({ t: 'cut', id, size }),
      sync: async () => {
        await turn()
        call({ t: 'sync', id })
        if (isNew) await this.syncFolder(dirname(path))
        isNew = false
      },
      close: async () => {},
    }
  }

  async openToRead(path: string): Promise<DiskFile> {
    if (!this.#names.has(path))
      throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
    return this.open(path)
  }

  async rename(from: string, to: string): Promise<void> {
    const id = this.#names.get(from) as number
    this.#names.delete(from)
    this.#names.set(to, id)
    this.calls.push({ t: 'rename', from, to })
  }

  async remove(path: string): Promise<void> {
    if (this.#names.delete(path)) this.calls.push({ t: 'remove', path })
  }

  async removeFolder(): Promise<void> {}

  async syncFolder(path: string): Promise<void> {
    const call = { t: 'syncFolder', path } as const
    this.#fault(call)
    this.calls.push(call)
  }

  async free(): Promise<number> {
    return this.capacity
  }

  /** The calls up to one: files and names as they are seen, and those that are durable. */
  #replay(calls: number) {
    const files = new Map(this.#given.map(({ id, bytes }) => [id, fileOf(bytes)]))
    const live = new Map(this.#given.map(({ path, id }) => [path, id]))
    let durable = new Map(live)
    for (const call of this.calls.slice(0, calls)) {
      if (call.t === 'make') {
        live.set(call.path, call.id)
        files.set(call.id, fileOf(Buffer.alloc(0)))
      } else if (call.t === 'rename') {
        const id = live.get(call.from) as number
        live.delete(call.from)
        live.set(call.to, id)
      } else if (call.t === 'remove') live.delete(call.path)
      else if (call.t === 'syncFolder') {
        const others = [...durable].filter(([path]) => dirname(path) !== call.path)
        durable = new Map([...others, ...[...live].filter(([path]) => dirname(path) === call.path)])
      } else apply(files.get(call.id) as File, call)
    }
    return { files, live, durable }
  }

  #fault(call: Call | { readonly t: 'open' }): void {
    const fault = this.faults.find(({ on, times }) => on === call.t && times > 0)
    if (!fault || fault.after-- > 0) return
    fault.times--
    this.failed.push(call)
    throw fault.error
  }
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

const fileOf = (bytes: Buffer): File => ({ live: bytes, durable: bytes, dirty: [] })

const apply = (file: File, call: Call): void => {
  if (call.t === 'write') {
    const end = call.at + call.bytes.length
    const live = Buffer.alloc(Math.max(file.live.length, end))
    file.live.copy(live)
    call.bytes.copy(live, call.at)
    file.live = live
    file.dirty.push({ from: call.at, to: end })
  } else if (call.t === 'cut') {
    const [from = 0, to] = [file.live.length, call.size].sort((one, other) => one - other)
    file.dirty.push({ from, to: to ?? from })
    const live = Buffer.alloc(call.size)
    file.live.copy(live)
    file.live = live
  } else if (call.t === 'sync') {
    file.durable = file.live
    file.dirty = []
  }
}

/** What is left of a file's bytes. */
const remains = ({ live, durable, dirty }: File, fate: Fate, random: Random): Buffer => {
  if (fate === 'kept') return live
  if (fate === 'lost' || dirty.length === 0) return durable
  const unit = fate === 'torn at 4096' ? 4_096 : 512
  // A size may be ahead of its bytes, or behind.
  const size = random() < 0.5 ? live.length : durable.length
  const left = Buffer.alloc(size)
  durable.copy(left)
  for (const { from, to } of dirty) {
    for (let at = from - (from % unit); at < Math.min(to, size); at += unit) {
      const end = Math.min(at + unit, size)
      const fell = random()
      if (fate === 'garbage' && fell < 0.2)
        left.fill(Math.floor(random() * 256), Math.max(at, from), Math.min(end, to))
      else if (fell < 0.6 && at < live.length) live.copy(left, at, at, end)
    }
  }
  return left
}
