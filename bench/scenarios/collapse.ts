import { setTimeout as wait } from 'node:timers/promises'
import { openLink } from '../link.ts'
import { inTurn, KiB, MiB, median, type Pace, type Run, runContestant, sample } from '../measure.ts'
import { atMost, type Outcome, spread } from '../report.ts'

const BEFORE = 40
const AFTER = 1
const PART = 5 * MiB
/** Where the link collapses, and what is left then. */
const [HAD, LEFT] = [60 * MiB, 20 * MiB]

/** Each run takes minutes, and there is little chance in it. */
const ONCE = { rounds: 1, quick: true }

const timesOf = ({ lag }: Run) => lag ?? Number.NaN
const puts = ({ received }: Run) => received.puts

export const collapse = async (pace: Pace): Promise<Outcome> => {
  const bytes = HAD + (pace.quick ? PART : LEFT)
  const link = await openLink(BEFORE)
  const rateAfter = (link.rate / BEFORE) * AFTER
  const run = async () => {
    await link.narrow(BEFORE)
    const job = { url: link.sink.url, bytes, chunkSize: 64 * KiB, partSize: PART }
    const ended = runContestant('library', job, link.prefix)
    let received = await link.sink.report()
    while (received.bytes < HAD) {
      await wait(50)
      received = await link.sink.report()
    }
    await link.narrow(AFTER)
    const start = performance.now()
    const figures = await ended
    const needed = (bytes - received.bytes) / rateAfter
    return { ...figures, lag: (performance.now() - start) / 1_000 / needed }
  }
  const { library } = await inTurn({ library: { sink: link.sink, bytes, run } }, ONCE)
  await link.close()
  return {
    title: 'Collapse',
    about: `A link (${link.made}) that falls from ${BEFORE} to ${AFTER} Mbit/s when ${HAD / MiB} of ${bytes / MiB} MiB have crossed it; four lanes, parts of 5 MiB, all else by default. What the link needs: the rest of the bytes, at what TCP, IP and Ethernet leave of its rate.`,
    tables: [
      {
        title: 'From the collapse to the end',
        columns: ['', 'times as long as the link needs', `PUTs for ${bytes / PART} parts`],
        rows: [['this library', spread(sample(library, timesOf)), spread(sample(library, puts))]],
      },
    ],
    chart: {
      title: 'From the collapse of a link to the end of the upload',
      unit: 'times as long as the link needs',
      bars: [{ label: 'this library', value: sample(library, timesOf), ours: true }],
    },
    goals: [
      atMost(
        'collapse from 40 to 1 Mbit/s: ≤ 1.3 × what the link needs',
        median(library, timesOf),
        1.3,
        ' ×',
      ),
    ],
  }
}
