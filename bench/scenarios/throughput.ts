import { rm } from 'node:fs/promises'
import { fileInMemory } from '../file-in-memory.ts'
import type { Job } from '../job.ts'
import {
  cpuOf,
  GiB,
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  type Run,
  rateOf,
  rssOf,
  runContestant,
  runProgram,
  type Sink,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atLeast, atMost, COSTS, costsOf, type Outcome, spread, type Table } from '../report.ts'

/** What the headline is measured with. */
const PART = 16 * MiB
const MEMORY = 96 * MiB
const CHUNK = 64 * KiB

/** How much each uploads: the slow ones less, so that all take seconds. */
const GIBIBYTES = {
  library: 8,
  undici: 8,
  'lib-storage': 1,
  'lib-storage-crc32': 1,
  'naive-loop': 1,
  'stream-chunker': 1 / 16,
} as const

export const throughput = async (pace: Pace): Promise<Outcome> => {
  const size = (gibibytes: number) => Math.max((gibibytes / (pace.quick ? 8 : 1)) * GiB, 64 * MiB)
  const turnOf = (sink: Sink, name: keyof typeof GIBIBYTES, job: Partial<Job> = {}): Turn => {
    const { bytes = size(GIBIBYTES[name]) } = job
    const settings = { url: sink.url, chunkSize: CHUNK, partSize: PART, memoryLimit: MEMORY }
    return { sink, bytes, run: () => runContestant(name, { ...settings, ...job, bytes }) }
  }
  const [http, https] = [await startSink(), await startSink({ tls: true })]
  const file = await fileInMemory(size(4))
  const curl = (sink: Sink): Turn => ({
    sink,
    bytes: size(4),
    run: () => runProgram(['curl', '-sSk', '-T', file, `${sink.url}/bucket/key`]),
  })
  const all = (sink: Sink) => ({
    'this library': turnOf(sink, 'library'),
    'this library, 4 KiB chunks': turnOf(sink, 'library', { chunkSize: 4 * KiB, bytes: size(4) }),
    'this library, 1 MiB chunks': turnOf(sink, 'library', { chunkSize: MiB, bytes: size(4) }),
    'bare undici': turnOf(sink, 'undici'),
    'curl -T, one PUT': curl(sink),
    'lib-storage': turnOf(sink, 'lib-storage'),
    'lib-storage, CRC32': turnOf(sink, 'lib-storage-crc32'),
    'naive loop': turnOf(sink, 'naive-loop'),
    'stream-chunker, p-limit': turnOf(sink, 'stream-chunker'),
  })
  try {
    const plain = await inTurn(all(http), pace)
    const secure = await inTurn(all(https), pace)
    const matrix = await sizes(pace, { HTTP: http, HTTPS: https }, turnOf)
    const ours = plain['this library']
    const bare = plain['bare undici']
    const peer = plain['lib-storage']
    const rate = (runs: readonly Run[]) => median(runs, rateOf)
    const cpu = (runs: readonly Run[]) => median(runs, cpuOf)
    const rss = (runs: readonly Run[]) => median(runs, rssOf)
    return {
      title: 'Throughput',
      about:
        'A source in the process that is always ready; 64 KiB chunks, 16 MiB parts, four lanes and `memoryLimit` 96 MiB unless said otherwise. bare undici and curl are floors: they send what is ready, without a source or a copy.',
      tables: [table('HTTP', plain), table('HTTPS', secure), matrix],
      chart: {
        title: 'Throughput over HTTP: 64 KiB chunks, 16 MiB parts',
        unit: 'MiB/s',
        bars: Object.entries(plain)
          .filter(([name]) => !name.includes('chunks'))
          .map(([label, runs]) => ({
            label,
            value: sample(runs, rateOf),
            ours: label === 'this library',
          })),
      },
      goals: [
        atLeast('HTTP: ≥ 0.90 of bare undici', rate(ours) / rate(bare), 0.9),
        atMost('HTTP: CPU ≤ bare undici + 0.15 s/GiB', cpu(ours) - cpu(bare), 0.15, ' s/GiB more'),
        atLeast('HTTP: ≥ 2.7 × lib-storage', rate(ours) / rate(peer), 2.7, ' ×'),
        atMost("HTTP: ≤ 1/3 of lib-storage's CPU", cpu(ours) / cpu(peer), 1 / 3),
        atMost("HTTP: below lib-storage's RSS", rss(ours) / rss(peer), 1),
        atLeast(
          'HTTPS: ≥ 0.95 of bare undici',
          rate(secure['this library']) / rate(secure['bare undici']),
          0.95,
        ),
        atMost('HTTPS: RSS ≤ 200 MiB', rss(secure['this library']), 200, ' MiB'),
        atLeast(
          '4 KiB chunks: ≥ 0.7 of the rate with 64 KiB',
          rate(plain['this library, 4 KiB chunks']) / rate(ours),
          0.7,
        ),
      ],
    }
  } finally {
    await Promise.all([http.close(), https.close(), rm(file)])
  }
}

const table = (title: string, runs: Readonly<Record<string, readonly Run[]>>): Table => ({
  title,
  columns: ['', ...COSTS],
  rows: Object.entries(runs).map(([name, samples]) => [name, ...costsOf(samples)]),
})

/** Every size of chunks and parts. */
const sizes = async (
  { quick, rounds }: Pace,
  sinks: Readonly<Record<string, Sink>>,
  turnOf: (sink: Sink, name: keyof typeof GIBIBYTES, job: Partial<Job>) => Turn,
): Promise<Table> => {
  const names = ['library', 'undici', 'lib-storage'] as const
  const cells = Object.keys(sinks).flatMap(scheme =>
    [5, 16, 64].flatMap(part =>
      (quick ? [64] : [4, 64, 1_024]).map(chunk => ({ scheme, part, chunk })),
    ),
  )
  type Cell = (typeof cells)[number]
  // Bare undici has no chunks, and lib-storage takes as long for any.
  const key = (name: string, { scheme, part, chunk }: Cell) =>
    `${name} ${scheme} ${part} ${name === 'library' ? chunk : ''}`
  const turns: Record<string, Turn> = {}
  for (const cell of cells) {
    for (const name of names) {
      // A whole number of parts of each size, as bare undici needs it.
      const bytes = (quick || name === 'lib-storage' ? 320 : 960) * MiB
      const [partSize, chunkSize] = [cell.part * MiB, (name === 'library' ? cell.chunk : 64) * KiB]
      const memoryLimit = Math.max(MEMORY, 6 * partSize)
      const sink = sinks[cell.scheme] as Sink
      const turn = turnOf(sink, name, { bytes, partSize, chunkSize, memoryLimit })
      turns[key(name, cell)] ??= turn
    }
  }
  const runs = await inTurn(turns, { quick, rounds })
  return {
    title: 'Every size of chunks and parts, MiB/s',
    columns: ['', 'part', 'chunk', 'this library', 'bare undici', 'lib-storage'],
    rows: cells.map(cell => [
      cell.scheme,
      `${cell.part} MiB`,
      `${cell.chunk} KiB`,
      ...names.map(name => spread(sample(runs[key(name, cell)] ?? [], rateOf))),
    ]),
  }
}
