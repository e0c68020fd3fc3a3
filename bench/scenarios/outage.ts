import { mkdtemp, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  GiB,
  inTurn,
  KiB,
  MiB,
  type Pace,
  rateOf,
  runContestant,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { COSTS, costsOf, type Outcome } from '../report.ts'

const PART = 5 * MiB

export const outage = async (pace: Pace): Promise<Outcome> => {
  const sink = await startSink()
  const bytes = pace.quick ? 320 * MiB : GiB - (GiB % PART)
  const spoolDir = await mkdtemp(resolve('.bench', 'spool-'))
  const job = { url: sink.url, bytes, chunkSize: 64 * KiB, partSize: PART }
  const turn = (run: Turn['run']): Turn => ({ sink, bytes, run })
  const turns = {
    'from the spool, afterwards': turn(() => runContestant('drain', { ...job, spoolDir })),
    'from memory, without a spool': turn(() => runContestant('library', job)),
  }
  const runs = await inTurn(turns, pace)
  await sink.close()
  await rm(spoolDir, { recursive: true })
  const all = Object.entries(runs)
  return {
    title: 'After an outage',
    about: `No connection lives until ${(bytes / GiB).toFixed(1)} GiB wait on the disk and the source has ended; then the network is back: how fast do they go? Parts of 5 MiB, defaults, but that a try is made every 100 ms. Beside it the same bytes from a source that is always ready.`,
    tables: [
      {
        title: 'Costs',
        columns: ['', ...COSTS],
        rows: all.map(([name, samples]) => [name, ...costsOf(samples)]),
      },
    ],
    chart: {
      title: 'Throughput of what waited for the network',
      unit: 'MiB/s',
      bars: all.map(([label, samples]) => ({
        label,
        value: sample(samples, rateOf),
        ours: label.startsWith('from the spool'),
      })),
    },
    goals: [],
  }
}
