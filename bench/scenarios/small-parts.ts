import {
  GiB,
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  rateOf,
  runContestant,
  type Sink,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atLeast, type Outcome, spread } from '../report.ts'

const PART = 5 * MiB

/** Where parts go: over what, and to an API that takes so many ms more. */
const PLACES = {
  'HTTP, 0 ms': {},
  'HTTP, 20 ms': { apiLatency: 20 },
  'HTTPS, 0 ms': { tls: true },
  'HTTPS, 20 ms': { tls: true, apiLatency: 20 },
} as const

type Place = keyof typeof PLACES

export const smallParts = async (pace: Pace): Promise<Outcome> => {
  const places = Object.keys(PLACES) as Place[]
  const sinks = {} as Record<Place, Sink>
  for (const place of places) sinks[place] = await startSink(PLACES[place])
  const bytes = pace.quick ? 320 * MiB : 4 * GiB - ((4 * GiB) % PART)
  const turns: Record<string, Turn> = {}
  for (const place of places) {
    const sink = sinks[place]
    for (const name of ['library', 'undici'] as const) {
      // Bare undici registers nothing: where the API is slower it is the same.
      if (name === 'undici' && place.endsWith('20 ms')) continue
      const job = { url: sink.url, bytes, chunkSize: 64 * KiB, partSize: PART }
      turns[`${name} ${place}`] = { sink, bytes, run: () => runContestant(name, job) }
    }
  }
  const runs = await inTurn(turns, pace)
  await Promise.all(places.map(place => sinks[place].close()))
  const of = (name: string) => runs[name] ?? []
  const floorOf = (place: Place) => of(`undici ${place.split(',')[0]}, 0 ms`)
  const share = (place: Place) =>
    median(of(`library ${place}`), rateOf) / median(floorOf(place), rateOf)
  return {
    title: 'Small parts',
    about:
      'The default part of 5 MiB, and all other defaults; a source that is always ready, 64 KiB chunks. Every call to the API takes so many ms more.',
    tables: [
      {
        title: 'MiB/s',
        columns: ['', 'this library', 'bare undici', 'share'],
        rows: places.map(place => [
          place,
          spread(sample(of(`library ${place}`), rateOf)),
          spread(sample(floorOf(place), rateOf)),
          share(place).toFixed(2),
        ]),
      },
    ],
    chart: {
      title: 'Throughput with parts of 5 MiB',
      unit: 'MiB/s',
      bars: places.flatMap(place => [
        { label: place, value: sample(of(`library ${place}`), rateOf), ours: true },
      ]),
    },
    goals: places.map(place =>
      atLeast(`5 MiB parts, ${place}: ≥ 0.85 of bare undici`, share(place), 0.85),
    ),
  }
}
