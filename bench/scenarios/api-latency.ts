import type { Name } from '../contestant.ts'
import {
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  rateOf,
  runContestant,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atLeast, type Outcome, spread } from '../report.ts'

const LATENCIES = [0, 50, 200, 1_000]
const RATE = 1e9 / 8

/** MiB that each uploads, by latency: less where it takes longer. */
const SIZES = {
  library: [4_096, 256, 1_024, 4_096],
  'stream-chunker': [160, 160, 160, 80],
  'naive-loop': [160, 80, 40, 20],
} as const satisfies Partial<Record<Name, readonly number[]>>

const LABELS = {
  library: 'this library',
  'stream-chunker': 'stream-chunker, p-limit',
  'naive-loop': 'naive loop',
} as const

export const apiLatency = async (pace: Pace): Promise<Outcome> => {
  const sinks = await Promise.all(LATENCIES.map(apiLatency => startSink({ apiLatency })))
  const names = Object.keys(SIZES) as (keyof typeof SIZES)[]
  const turns: Record<string, Turn> = {}
  for (const name of names) {
    for (const [index, latency] of LATENCIES.entries()) {
      const sink = sinks[index]
      if (!sink) continue
      const bytes = ((SIZES[name][index] ?? 0) * MiB) / (pace.quick ? 16 : 1)
      const job = { url: sink.url, bytes, chunkSize: 64 * KiB, rate: RATE }
      turns[`${name} ${latency}`] = { sink, bytes, run: () => runContestant(name, job) }
    }
  }
  const runs = await inTurn(turns, pace)
  await Promise.all(sinks.map(sink => sink.close()))

  const rate = (name: string, latency: number) => sample(runs[`${name} ${latency}`] ?? [], rateOf)
  const left = (latency: number) =>
    median(runs[`library ${latency}`] ?? [], rateOf) / median(runs['library 0'] ?? [], rateOf)
  return {
    title: 'API latency',
    about: `A source of 1 Gbit/s (119 MiB/s), default options. Every call to the API takes so many ms more.`,
    tables: [
      {
        title: 'MiB/s',
        columns: ['', ...LATENCIES.map(latency => `${latency} ms`)],
        rows: names.map(name => [
          LABELS[name],
          ...LATENCIES.map(latency => spread(rate(name, latency))),
        ]),
      },
    ],
    chart: {
      title: 'Throughput of a 1 Gbit/s source where each call to the API takes 200 ms',
      unit: 'MiB/s',
      bars: names.map(name => ({
        label: LABELS[name],
        value: rate(name, 200),
        ours: name === 'library',
      })),
    },
    goals: [
      atLeast('API at 200 ms: ≥ 0.9 of the rate at 0 ms', left(200), 0.9),
      atLeast('API at 1,000 ms: ≥ 0.9 of the rate at 0 ms', left(1_000), 0.9),
    ],
  }
}
