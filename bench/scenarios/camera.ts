import { mkdtemp, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  GiB,
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  type Run,
  rssOf,
  runContestant,
  sample,
  startSink,
} from '../measure.ts'
import { atMost, type Outcome, spread } from '../report.ts'

const RATE = 100 * MiB
const MEMORY = 16 * MiB
/** Seconds before the outage, and after it until the camera stops. */
const AROUND = 2

const behindOf = ({ behind }: Run) => (behind ?? Number.NaN) * 1_000
const waitingOf = ({ waiting }: Run) => (waiting ?? Number.NaN) / GiB
const lagOf = ({ lag }: Run) => lag ?? Number.NaN

export const camera = async (pace: Pace): Promise<Outcome> => {
  const sink = await startSink()
  const seconds = pace.quick ? 5 : 60
  const bytes = (seconds + 2 * AROUND) * RATE
  const spoolDir = await mkdtemp(resolve('.bench', 'spool-'))
  const job = {
    ...{ url: sink.url, bytes, spoolDir, chunkSize: 64 * KiB, partSize: 5 * MiB },
    ...{ rate: RATE, memoryLimit: MEMORY, outage: [AROUND, AROUND + seconds] as const },
  }
  const turn = { sink, bytes, run: () => runContestant('camera', job) }
  const { camera: runs } = await inTurn({ camera: turn }, pace)
  await sink.close()
  await rm(spoolDir, { recursive: true })
  const behind = sample(runs, behindOf)
  return {
    title: 'A camera in an outage',
    about: `A source of ${RATE / MiB} MiB/s that waits for nobody, a \`memoryLimit\` of ${MEMORY / MiB} MiB and a spool on the disk; for ${seconds} s no connection lives, and the source goes on. Behind: how far the source was held behind its own clock at worst. A try is made every second.`,
    tables: [
      {
        title: 'What it took',
        columns: [
          'behind, ms',
          'waiting on the disk, GiB',
          'peak RSS MiB',
          'stored after its end, s',
        ],
        rows: [
          [
            spread(behind),
            ...[waitingOf, rssOf, lagOf].map(figureOf => spread(sample(runs, figureOf))),
          ],
        ],
      },
    ],
    chart: {
      title: 'How far a camera is held behind, at worst',
      unit: 'ms',
      bars: [{ label: 'with a spool', value: behind, ours: true }],
    },
    goals: [
      atMost('camera in an outage: held ≤ 100 ms behind', behind.median, 100, ' ms'),
      atMost('camera in an outage: RSS ≤ 200 MiB', median(runs, rssOf), 200, ' MiB'),
    ],
  }
}
