/**
 * What a link, a disk or a program may do to a stream: whatever comes, nothing is thrown, no byte is
 * lost, and how it was chunked makes no difference.
 */
import t from 'tap'
import { byChance, type Cut, cutUp, makeMaster, piped } from './support/pieces.ts'
import { randomOf } from './support/power-cuts.ts'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
const folder = t.testdir()
const master = await makeMaster(folder, ['-t', '12'])
const mp4 = await piped(master, ['-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov'])
const ts = await piped(master, ['-f', 'mpegts'])
const m2ts = await piped(master, ['-f', 'mpegts', '-mpegts_m2ts_mode', '1'])

const SEGMENT = { segment: 3_000 }
const total = ({ pieces }: Cut) => pieces.reduce((sum, { length }) => sum + length, 0)

/** Each film, with the bytes that each piece but the first begins with. */
const FILMS = [
  { film: mp4, head: mp4.indexOf('moof') - 4 },
  { film: ts, head: 2 * 188 },
  { film: m2ts, head: 2 * 192 },
]
/** What an MP4 that is cut does without. */
const INDEX = mp4.length - (mp4.lastIndexOf('mfra') - 4)

/** The same pieces? */
const isSame = (some: readonly Buffer[], others: readonly Buffer[]) =>
  some.length === others.length && some.every((one, index) => one.equals(others[index] as Buffer))

/** Damages by chance, to the bytes between two places. */
const DAMAGES: Readonly<Record<string, (film: Buffer, random: () => number) => Buffer>> = {
  'a byte is another': (film, random) => {
    const damaged = Buffer.from(film)
    const at = Math.floor(random() * film.length)
    damaged[at] = (film[at] ?? 0) ^ (1 + Math.floor(random() * 255))
    return damaged
  },
  'it ends in the middle': (film, random) => film.subarray(0, Math.floor(random() * film.length)),
  'a stretch is missing': (film, random) => {
    const from = Math.floor(random() * film.length)
    return Buffer.concat([
      film.subarray(0, from),
      film.subarray(from + Math.floor(random() * 50_000)),
    ])
  },
  'a stretch is garbage': (film, random) => {
    const damaged = Buffer.from(film)
    const from = Math.floor(random() * film.length)
    for (let at = from; at < Math.min(from + 5_000, film.length); at++) damaged[at] = random() * 256
    return damaged
  },
  'it begins in the middle': (film, random) => film.subarray(Math.floor(random() * film.length)),
}

for (const [name, damage] of Object.entries(DAMAGES)) {
  t.test(name, async t => {
    const random = randomOf(seed)
    for (let run = 0; run < 60; run++) {
      const { film, head } = FILMS[run % FILMS.length] as (typeof FILMS)[number]
      const damaged = damage(film, random)
      const cut = cutUp([damaged], SEGMENT)
      const where = `SEED=${seed}, run ${run}`
      const again = cutUp(byChance(damaged, 5_000, random), SEGMENT)
      t.ok(isSame(cut.pieces, again.pieces), `the same in other chunks, ${where}`)
      const left = damaged.length + (cut.pieces.length - 1) * head - total(cut)
      t.ok(left === 0 || (film === mp4 && left === INDEX), `${left} bytes are missing, ${where}`)
      const uncut = cutUp(byChance(damaged, 5_000, random), { segment: Number.POSITIVE_INFINITY })
      t.ok(isSame(uncut.pieces, [damaged]), `uncut it is as it was, ${where}`)
    }
  })
}
