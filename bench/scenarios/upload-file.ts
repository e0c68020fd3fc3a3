import { rm } from 'node:fs/promises'
import { fileInMemory } from '../file-in-memory.ts'
import { LANES } from '../job.ts'
import {
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  rateOf,
  rssOf,
  runContestant,
  runProgram,
  type Sink,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atLeast, atMost, COSTS, costsOf, type Outcome } from '../report.ts'

/** As V4 cuts large files. */
const LARGE = 2_000_000_000

export const uploadFile = async (pace: Pace): Promise<Outcome> => {
  // A whole number of slices for each lane.
  const slice = (pace.quick ? 64 : 256) * MiB
  const count = 4 * LANES
  const [sink, large] = [
    await startSink({ sliceSize: slice }),
    await startSink({ sliceSize: LARGE }),
  ]
  const file = await fileInMemory(count * slice)
  const piece = await fileInMemory(slice)
  const sparse = await fileInMemory(LANES * LARGE, true)
  const turnOf = (sink: Sink, file: string, bytes: number): Turn => ({
    sink,
    bytes,
    run: () => runContestant('upload-file', { url: sink.url, bytes, chunkSize: KiB, file }),
  })
  const turns = {
    'this library': turnOf(sink, file, count * slice),
    'curl -T × 4': curls(sink, piece, { count, bytes: count * slice }),
    'this library, slices of 2 GB': turnOf(large, sparse, LANES * LARGE),
  }
  try {
    const runs = await inTurn(turns, pace)
    const ours = runs['this library']
    const theirs = runs['curl -T × 4']
    const ratio = median(ours, rateOf) / median(theirs, rateOf)
    const rss = median(runs['this library, slices of 2 GB'], rssOf)
    return {
      title: 'A finished file',
      about: `\`uploadFile\` of a file in memory, in ${count} slices of ${slice / MiB} MiB, four lanes; four processes of curl side by side that send as many files of that size (of them only the time counts: it includes their start). And a sparse file of 8 GB in slices of 2 GB, one for each lane.`,
      tables: [
        {
          title: 'HTTP',
          columns: ['', ...COSTS],
          rows: Object.entries(runs).map(([name, samples]) => [name, ...costsOf(samples)]),
        },
      ],
      chart: {
        title: 'A finished file over HTTP, four PUTs at once',
        unit: 'MiB/s',
        bars: Object.entries(runs).map(([label, samples]) => ({
          label,
          value: sample(samples, rateOf),
          ours: label.startsWith('this library'),
        })),
      },
      goals: [
        atLeast('uploadFile: ≥ 0.90 of curl -T × 4', ratio, 0.9),
        atMost('uploadFile: RSS ≤ 120 MiB with slices of 2 GB', rss, 120, ' MiB'),
      ],
    }
  } finally {
    await Promise.all([sink.close(), large.close(), rm(file), rm(piece), rm(sparse)])
  }
}

/** A process for each lane, with one connection. */
const curls = (
  sink: Sink,
  piece: string,
  { count, bytes }: { readonly count: number; readonly bytes: number },
): Turn => {
  const puts = Array.from({ length: count }, (_, at) => `-T ${piece} ${sink.url}/bucket/${at}`)
  const lanes = Array.from({ length: LANES }, (_, lane) => {
    const own = puts.filter((_, at) => at % LANES === lane)
    return `curl -sSf ${own.join(' ')} &`
  })
  return { sink, bytes, run: () => runProgram(['sh', '-c', `${lanes.join(' ')} wait`]) }
}
