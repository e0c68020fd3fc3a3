import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  type Run,
  runContestant,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atMost, type Outcome, spread } from '../report.ts'

const IMPORTED = {
  'this library': import.meta.resolve('frameio-realtime-upload'),
  undici: import.meta.resolve('undici'),
}

const secondsOf = ({ seconds }: Run) => seconds * 1_000
const firstPut = ({ received, start }: Run) => received.firstPut - (start ?? Number.NaN)

export const start = async (pace: Pace): Promise<Outcome> => {
  const sink = await startSink()
  const turns = Object.fromEntries(
    Object.entries(IMPORTED).map(([name, url]) => [
      name,
      { sink, bytes: 0, run: async () => ({ ...NOTHING, seconds: secondsToImport(url) }) },
    ]),
  ) as Record<keyof typeof IMPORTED, Turn>
  // So short that it takes many to tell.
  const imports = await inTurn(turns, { ...pace, rounds: pace.rounds * 5 })
  const bytes = 32 * MiB
  const job = { url: sink.url, bytes, chunkSize: 64 * KiB }
  const { library, storage } = await inTurn(
    {
      library: { sink, bytes, run: () => runContestant('library', job) },
      storage: { sink, bytes, run: () => runContestant('lib-storage', job) },
    },
    pace,
  )
  await sink.close()
  const ratio = median(imports['this library'], secondsOf) / median(imports.undici, secondsOf)
  return {
    title: 'Start',
    about:
      'Time of `import()` in a fresh process, and from the first byte to the arrival of the first PUT, with 5 MiB parts and a source that is always ready.',
    tables: [
      {
        title: 'ms',
        columns: ['', 'import', 'first byte to first PUT'],
        rows: [
          [
            'this library',
            spread(sample(imports['this library'], secondsOf)),
            spread(sample(library, firstPut)),
          ],
          ['undici', spread(sample(imports.undici, secondsOf)), ''],
          ['lib-storage', '', spread(sample(storage, firstPut))],
        ],
      },
    ],
    chart: {
      title: 'Time of import()',
      unit: 'ms',
      bars: Object.entries(imports).map(([label, samples]) => ({
        label,
        value: sample(samples, secondsOf),
        ours: label === 'this library',
      })),
    },
    goals: [atMost('import ≤ 1.3 × importing undici alone', ratio, 1.3, ' ×')],
  }
}

const NOTHING = { cpuSeconds: 0, rss: 0, start: 0, lag: 0 }

const secondsToImport = (url: string): number => {
  const code = `const start = performance.now(); await import(${JSON.stringify(url)}); console.log((performance.now() - start) / 1000)`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
  })
  if (stdout === '') throw new Error(stderr)
  return Number(stdout)
}
