import {
  GiB,
  inTurn,
  KiB,
  median,
  type Pace,
  rateOf,
  rssOf,
  runContestant,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atLeast, atMost, COSTS, costsOf, type Outcome } from '../report.ts'

const TRICKLES = 500
/** 2 Mbit/s. */
const TRICKLE = 2e6 / 8

export const many = async (pace: Pace): Promise<Outcome> => {
  const sink = await startSink()
  const turns: Record<string, Turn> = {}
  for (const uploads of [1, 10, 100, 500]) {
    const bytes = (pace.quick ? 1 : 5) * GiB
    const each = bytes / uploads
    const job = { url: sink.url, bytes: Math.floor(each), uploads, chunkSize: 64 * KiB }
    const total = Math.floor(each) * uploads
    turns[uploads] = { sink, bytes: total, run: () => runContestant('library', job) }
  }
  // Long enough that each upload holds a part that is nearly full, all at the same time.
  const seconds = pace.quick ? 4 : 25
  const trickle = {
    chunkSize: 16 * KiB,
    bytes: seconds * TRICKLE,
    rate: TRICKLE,
    uploads: TRICKLES,
  }
  turns.trickle = {
    sink,
    bytes: trickle.bytes * TRICKLES,
    run: () => runContestant('library', { url: sink.url, ...trickle }),
  }
  turns.none = {
    sink,
    bytes: 1,
    run: () => runContestant('library', { url: sink.url, chunkSize: 1, bytes: 1 }),
  }
  const { trickle: trickles = [], none = [], ...runs } = await inTurn(turns, pace)
  await sink.close()
  const kept = median(runs['500'] ?? [], rateOf) / median(runs['1'] ?? [], rateOf)
  const each = (median(trickles, rssOf) - median(none, rssOf)) / TRICKLES
  return {
    title: 'Many uploads at once',
    about: `Through one client, default options. Always ready: ${pace.quick ? 1 : 5} GiB in all. Trickle: each upload gets 2 Mbit/s for ${seconds} s; all began together, so that all parts are full at the same time, which is the worst case.`,
    tables: [
      {
        title: 'In all',
        columns: ['uploads', ...COSTS],
        rows: Object.entries({ ...runs, [`${TRICKLES}, trickle`]: trickles }).map(
          ([uploads, samples]) => [uploads, ...costsOf(samples)],
        ),
      },
    ],
    chart: {
      title: 'Throughput of so many uploads at once, in all',
      unit: 'MiB/s',
      bars: Object.entries(runs).map(([uploads, samples]) => ({
        label: uploads,
        value: sample(samples, rateOf),
        ours: true,
      })),
    },
    goals: [
      atLeast('500 uploads at once: all whole, ≥ 0.8 of the rate of one', kept, 0.8),
      atMost(`${TRICKLES} trickles of 2 Mbit/s: RSS ≤ 7 MiB each`, each, 7, ' MiB'),
    ],
  }
}
