import { mkdtemp, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { cutOff, forget } from '../cut-off.ts'
import {
  GiB,
  inTurn,
  MiB,
  median,
  type Pace,
  type Run,
  rateOf,
  runContestant,
  sample,
  startSink,
} from '../measure.ts'
import { atMost, type Outcome, spread } from '../report.ts'

/** Seconds from the start of `resumeUploads`. */
const knownOf = ({ known = Number.NaN }: Run) => known
const firstOf = ({ start = Number.NaN, received }: Run) => (received.firstPut - start) / 1_000
const allOf = ({ seconds }: Run) => seconds

export const resume = async (pace: Pace): Promise<Outcome> => {
  const sink = await startSink()
  const dir = await mkdtemp(resolve('.bench', 'spool-'))
  let isForgotten = true
  const measure = async (parts: number, size: number, pace: Pace): Promise<Run[]> => {
    const bytes = parts * size
    const job = { url: sink.url, bytes, chunkSize: MiB, spoolDir: dir }
    const run = async () => {
      await cutOff(dir, { origin: sink.url, parts, size })
      isForgotten = await forget()
      return runContestant('resume', job)
    }
    return (await inTurn({ it: { sink, bytes, run } }, pace)).it
  }
  const gibibytes = pace.quick ? 1 : 10
  const rows: [string, Run[]][] = [
    // Once: to write so much takes longer than to send it.
    [
      `${gibibytes} GiB`,
      await measure(Math.floor((gibibytes * GiB) / (5 * MiB)), 5 * MiB, { ...pace, ...ONCE }),
    ],
    ['10,000 parts of 1 KiB', await measure(10_000, 2 ** 10, pace)],
  ]
  await sink.close()
  await rm(dir, { recursive: true })
  const parts = rows.at(-1)?.[1] ?? []
  return {
    title: 'Resume',
    about: `An upload that was cut off when so much lay on the disk and nothing at Frame.io, in a process of its own: seconds from the start of \`resumeUploads\`, until it is known what is there, until the first PUT arrives, and until all is there. ${isForgotten ? 'Nothing of it is in memory (`drop_caches`).' : 'The page cache could not be emptied.'} ${rows[0]?.[0]} once, parts of 5 MiB.`,
    tables: [
      {
        title: 'Seconds',
        columns: ['', 'known', 'first PUT', 'all', 'MiB/s'],
        rows: rows.map(([name, runs]) => [
          name,
          ...[knownOf, firstOf, allOf, rateOf].map(figure => spread(sample(runs, figure))),
        ]),
      },
    ],
    chart: {
      title: 'Seconds until a resume sends its first byte',
      unit: 's',
      bars: rows.map(([label, runs]) => ({ label, value: sample(runs, firstOf), ours: true })),
    },
    goals: [
      atMost('resume: 10,000 parts known within 1 s', median(parts, knownOf), 1, ' s'),
      atMost('resume: 10,000 parts, first PUT within 2 s', median(parts, firstOf), 2, ' s'),
    ],
  }
}

/** No round for warming up either. */
const ONCE: Pace = { rounds: 1, quick: true }
