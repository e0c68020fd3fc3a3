/**
 * One contestant, one upload, in a process of its own: it is given a job, and tells what it took.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { type Contestant, type Figures, type Job, programOf } from './job.ts'

const contestants = {
  library: () => import('./contestants/library.ts'),
  'upload-from': () => import('./contestants/upload-from.ts'),
  'upload-file': () => import('./contestants/upload-file.ts'),
  'lib-storage': () => import('./contestants/lib-storage.ts'),
  'lib-storage-crc32': () => import('./contestants/lib-storage-crc32.ts'),
  'naive-loop': () => import('./contestants/naive-loop.ts'),
  'stream-chunker': () => import('./contestants/stream-chunker.ts'),
  undici: () => import('./contestants/undici.ts'),
  'disk-loop': () => import('./contestants/disk-loop.ts'),
  camera: () => import('./contestants/camera.ts'),
  drain: () => import('./contestants/drain.ts'),
  resume: () => import('./contestants/resume.ts'),
} satisfies Record<string, () => Promise<{ upload: Contestant }>>

export type Name = keyof typeof contestants

const sourceOf = ({ bytes, chunkSize, rate, child }: Job): Readable => {
  if (child) return startProgram(bytes)
  const chunk = chunkOf(chunkSize)
  if (rate !== undefined) return Readable.from(paced(bytes, chunk, rate), { objectMode: false })
  let left = bytes
  return new Readable({
    highWaterMark: chunkSize,
    read() {
      this.push(left > 0 ? chunk.subarray(0, left) : null)
      left -= chunk.length
    },
  })
}

const chunks = new Map<number, Buffer>()

/** One for all sources of a size: what a source has just made is in the processor's cache. */
const chunkOf = (size: number): Buffer => {
  const chunk = chunks.get(size) ?? Buffer.alloc(size, 7)
  chunks.set(size, chunk)
  return chunk
}

const startProgram = (bytes: number): Readable => {
  const [command = '', ...args] = programOf(bytes)
  return spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] }).stdout
}

/** A camera: each byte comes when it exists, and not when somebody has time for it. */
async function* paced(bytes: number, chunk: Buffer, rate: number) {
  const start = performance.now()
  for (let at = 0; at < bytes; at += chunk.length) {
    const piece = chunk.subarray(0, bytes - at)
    const wait = start + ((at + piece.length) / rate) * 1_000 - performance.now()
    if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait))
    yield piece
  }
}

/** Highest resident memory, in MiB. Not `maxRSS`, where Linux counts what the parent had as well. */
const peakRss = () => {
  try {
    const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    return Number(kib) / 2 ** 10
  } catch {
    return process.resourceUsage().maxRSS / 2 ** 10
  }
}

const run = async (upload: Contestant, job: Job): Promise<Figures> => {
  const start = performance.now()
  const cpu = process.cpuUsage()
  const better = await upload(job, () => sourceOf(job))
  const seconds = (performance.now() - start) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    rss: peakRss(),
    heap: process.memoryUsage().heapTotal / 2 ** 20,
    start: performance.timeOrigin + start,
    lag: seconds - job.bytes / (job.rate ?? Infinity),
    ...better,
  }
}

const [name, job] = process.argv.slice(2)
if (name && job) {
  const { upload } = await contestants[name as Name]()
  process.send?.(await run(upload, JSON.parse(job)), () => process.exit())
}
