import type { Name } from '../contestant.ts'
import { openLink } from '../link.ts'
import {
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  type Run,
  runContestant,
  sample,
  type Turn,
} from '../measure.ts'
import { atMost, type Outcome, spread } from '../report.ts'

const LINK = 80
const SOURCES = [20, 50]
const CHUNK = 64 * KiB
const PART = 5 * MiB
const LABELS = {
  library: 'this library',
  'lib-storage': 'lib-storage',
  'naive-loop': 'naive loop',
} as const satisfies Partial<Record<Name, string>>

const lagOf = ({ lag }: Run) => lag ?? Number.NaN

export const finishLag = async (pace: Pace): Promise<Outcome> => {
  const link = await openLink(LINK)
  const names = Object.keys(LABELS) as (keyof typeof LABELS)[]
  // Two ends of a file: half a part is left when the source ends, and nearly a whole one.
  const lengths = (pace.quick ? [7.5] : [12.5, 14.75]).map(mebibytes => mebibytes * MiB)
  const cases = SOURCES.flatMap(mbit => lengths.map(bytes => ({ mbit, bytes })))
  const turns: Record<string, Turn> = {}
  for (const { mbit, bytes } of cases) {
    for (const name of names) {
      const job = { url: link.sink.url, bytes, chunkSize: CHUNK, partSize: PART }
      const run = () => runContestant(name, { ...job, rate: (mbit * 1e6) / 8 }, link.prefix)
      turns[`${name} ${mbit} ${bytes}`] = { sink: link.sink, bytes, run }
    }
  }
  const runs = await inTurn(turns, pace)
  await link.close()

  const rows = cases.map(({ mbit, bytes }) => {
    const ideal = idealLag(bytes, (mbit * 1e6) / 8, link.rate)
    const samples = names.map(name => runs[`${name} ${mbit} ${bytes}`] ?? [])
    return { mbit, bytes, ideal, samples }
  })
  return {
    title: 'Finish lag',
    about: `Seconds from the end of the source to \`finish\`, over a link of ${LINK} Mbit/s (${link.made}). Ideal: every part enters the link as soon as all its bytes exist, and leaves it at ${(link.rate / MiB).toFixed(2)} MiB/s, which is what TCP, IP and Ethernet leave; the round trip of the link counts as nothing.`,
    tables: [
      {
        title: 'Seconds',
        columns: ['source', 'file', 'ideal', ...Object.values(LABELS)],
        rows: rows.map(({ mbit, bytes, ideal, samples }) => [
          `${mbit} Mbit/s`,
          `${bytes / MiB} MiB`,
          ideal.toFixed(2),
          ...samples.map(sampled => spread(sample(sampled, lagOf))),
        ]),
      },
    ],
    chart: {
      title: `Seconds from the end of a ${SOURCES[1]} Mbit/s source to the end of the upload`,
      unit: 's',
      bars: names.map((name, index) => ({
        label: LABELS[name],
        value: sample(rows.at(-1)?.samples[index] ?? [], lagOf),
        ours: name === 'library',
      })),
    },
    goals: rows.map(({ mbit, bytes, ideal, samples: [ours = []] }) =>
      atMost(
        `finish lag, ${mbit} Mbit/s, ${bytes / MiB} MiB: ≤ ideal × 1.1 + 100 ms = ${(ideal * 1.1 + 0.1).toFixed(2)} s`,
        median(ours, lagOf),
        ideal * 1.1 + 0.1,
        ' s',
      ),
    ),
  }
}

/**
 * A fluid model: how long after the end of the source would its last byte be through? A part is
 * there when the byte after it is, for only then it is known not to be the last, and the last is
 * there when the source ends.
 */
const idealLag = (bytes: number, source: number, link: number): number => {
  const end = bytes / source
  let free = 0
  for (let at = 0; at < bytes; at += PART) {
    const after = Math.ceil((at + PART + 1) / CHUNK) * CHUNK
    free = Math.max(free, Math.min(after / source, end)) + Math.min(PART, bytes - at) / link
  }
  return free - end
}
