import {
  GiB,
  inTurn,
  KiB,
  median,
  type Pace,
  type Run,
  rssOf,
  runContestant,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atMost, type Outcome, spread } from '../report.ts'

export const memory = async (pace: Pace): Promise<Outcome> => {
  // The storage takes 50 ms for an answer, so that the source is faster than the network, and the
  // memory is full from the start: else how much of it is used would be a matter of chance.
  const sink = await startSink({ storageLatency: 50 })
  const lengths = pace.quick ? [1 / 2, 1, 2] : [1, 5, 20]
  const turns: Record<string, Turn> = {}
  for (const gibibytes of lengths) {
    const bytes = gibibytes * GiB
    const job = { url: sink.url, bytes, chunkSize: 64 * KiB }
    turns[`${gibibytes} GiB`] = { sink, bytes, run: () => runContestant('library', job) }
  }
  const runs = await inTurn(turns, pace)
  await sink.close()
  const [first = [], ...rest] = Object.values(runs)
  const row = (title: string, figureOf: (run: Run) => number) => [
    title,
    ...Object.values(runs).map(samples => spread(sample(samples, figureOf))),
  ]
  const growth = median(rest.at(-1) ?? [], rssOf) / median(first, rssOf)
  return {
    title: 'Memory over length',
    about:
      'Peak RSS of the whole process, default options (`memoryLimit` 256 MiB), a source that is always ready and a storage that is slower. The blocks are the same 256 MiB throughout; what grows is the heap of the engine (V8), whose young generation doubles when enough has outlived its collections.',
    tables: [
      {
        title: 'MiB',
        columns: ['', ...Object.keys(runs)],
        rows: [
          row('peak RSS', rssOf),
          row('heap of the engine, at the end', ({ heap }) => heap ?? NaN),
        ],
      },
    ],
    chart: {
      title: 'Peak memory by length of the stream, memoryLimit 256 MiB',
      unit: 'MiB',
      bars: Object.entries(runs).map(([label, samples]) => ({
        label,
        value: sample(samples, rssOf),
        ours: true,
      })),
    },
    goals: [
      atMost(`memory: ${lengths.at(-1)} GiB within 5 % of ${lengths[0]} GiB`, growth, 1.05, ' ×'),
    ],
  }
}
