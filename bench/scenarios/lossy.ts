import type { Name } from '../contestant.ts'
import {
  GiB,
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  type Run,
  rateOf,
  runContestant,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atMost, type Outcome, spread } from '../report.ts'

const SHARE = 0.02
const PART = 5 * MiB
const LABELS = {
  library: 'this library',
  'lib-storage': 'lib-storage',
} as const satisfies Partial<Record<Name, string>>

const resetsOf = ({ received }: Run) => received.resets
const sentOf = ({ received }: Run) => received.bytes / received.stored
/** Without the parts that were under way when they were reset. */
const beyondOf = ({ received }: Run) =>
  Math.max(1, (received.bytes - received.resets * PART) / received.stored)

export const lossy = async (pace: Pace): Promise<Outcome> => {
  const [calm, rough] = [await startSink(), await startSink({ resets: SHARE })]
  const names = Object.keys(LABELS) as (keyof typeof LABELS)[]
  const turns: Record<string, Turn> = {}
  for (const name of names) {
    const bytes = (name === 'library' ? 4 : 1) * (pace.quick ? GiB / 4 : GiB)
    const job = { bytes, chunkSize: 64 * KiB, partSize: PART }
    for (const [weather, sink] of Object.entries({ calm, rough })) {
      const run = () => runContestant(name, { url: sink.url, ...job })
      turns[`${name} ${weather}`] = { sink, bytes, run }
    }
  }
  const runs = await inTurn(turns, pace)
  await Promise.all([calm.close(), rough.close()])
  const inRough = (name: string) => runs[`${name} rough`] ?? []
  const left = (name: string) =>
    median(inRough(name), rateOf) / median(runs[`${name} calm`] ?? [], rateOf)
  return {
    title: 'Lossy',
    about:
      '2 % of all PUTs are reset somewhere in their bodies; 5 MiB parts, a source that is always ready. The wait before another try is 0.5 to 1 s by default.',
    tables: [
      {
        title: 'With resets',
        columns: ['', 'MiB/s', 'of the rate without', 'resets', 'bytes sent / stored'],
        rows: names.map(name => [
          LABELS[name],
          spread(sample(inRough(name), rateOf)),
          left(name).toFixed(2),
          spread(sample(inRough(name), resetsOf)),
          spread(sample(inRough(name), sentOf)),
        ]),
      },
    ],
    chart: {
      title: 'Throughput where 2 % of PUTs are reset',
      unit: 'MiB/s',
      bars: names.map(name => ({
        label: LABELS[name],
        value: sample(inRough(name), rateOf),
        ours: name === 'library',
      })),
    },
    goals: [
      atMost(
        'lossy: bytes sent, without a part for each reset, ≤ 1.03 × stored',
        median(inRough('library'), beyondOf),
        1.03,
        ' ×',
      ),
    ],
  }
}
