import t from 'tap'
import { LIMITS } from '../lib/frameio/protocol.ts'
import { partPlan } from '../lib/upload/part-plan.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
const TiB = 2 ** 40

const planOf = (partSize: number, maxSize: number, expectedSize?: number, limits = LIMITS) =>
  partPlan({ partSize, maxSize, expectedSize }, limits)

/** Cuts a stream of so many bytes to the end: how many parts, and which rule was broken first. */
const cutAll = (partSize: number, bytes: number) => {
  const plan = planOf(partSize, bytes)
  let [cut, parts, before, broken] = [0, 0, 0, '']
  while (cut < bytes && parts <= LIMITS.maxParts && !broken) {
    const size = plan(cut)
    if (!Number.isInteger(size)) broken = `part ${parts + 1} has ${size} bytes`
    if (size > LIMITS.maxPartSize) broken = `part ${parts + 1} is over 5 GiB: ${size}`
    if (size < Math.max(LIMITS.minPartSize, partSize)) broken = `part ${parts + 1} is ${size}`
    if (size < before) broken = `part ${parts + 1} shrinks from ${before} to ${size}`
    before = size
    cut += size
    parts++
  }
  if (parts > LIMITS.maxParts) broken ||= `${cut} bytes took more than ${LIMITS.maxParts} parts`
  return { parts, broken }
}

t.test('every part size reaches 5 TiB with at most 10,000 parts, within every limit', async t => {
  const constantFrom = (5 * TiB) / LIMITS.maxParts
  const odd = [1, 2, 3, 4_095, 524_287, 1_048_575].flatMap(more => [
    5 * MiB + more,
    64 * MiB + more,
  ])
  odd.push(Math.floor(constantFrom), Math.ceil(constantFrom), 536_870_911, GiB - 1, GiB + 1)
  odd.push(5 * GiB - 1, 7_777_777, 100_000_007, 5 * MiB)
  const sizes = [...odd, ...Array.from({ length: 5 * 1024 - 4 }, (_, i) => (i + 5) * MiB)]
  t.equal(sizes.at(-1), 5 * GiB)
  const broken = sizes.flatMap(size => {
    const result = cutAll(size, 5 * TiB)
    return result.broken ? [`parts of ${size}: ${result.broken}`] : []
  })
  t.strictSame(broken, [])
})

t.test('from parts of 5 MiB, 5 TiB take 9,826 parts', async t => {
  t.strictSame(cutAll(5 * MiB, 5 * TiB), { parts: 9_826, broken: '' })
})

t.test('parts grow as the plan promises', async t => {
  const plan = planOf(5 * MiB, 5 * TiB)
  const figures: [bytesCut: number, size: number][] = [
    [0, 5 * MiB],
    [1, 5 * MiB],
    [4_500 * MiB, 5 * MiB],
    [4_500 * MiB + 1, 6 * MiB],
    [10 * GiB, 12 * MiB],
    [50 * GiB, 57 * MiB],
    [100 * GiB, 114 * MiB],
    [899 * GiB, 1_023 * MiB],
    [900 * GiB, GiB],
    [900 * GiB + 1, GiB],
    [5 * TiB - 1, GiB],
  ]
  for (const [cut, size] of figures) t.equal(plan(cut), size, `after ${cut} bytes`)
})

t.test('a part size that reaches maxSize in 10,000 parts stays constant', async t => {
  for (const maxSize of [1, 5 * MiB, 10_000 * 5 * MiB]) {
    const plan = planOf(5 * MiB, maxSize)
    t.strictSame([0, GiB, 40 * GiB, TiB].map(plan), Array(4).fill(5 * MiB), `up to ${maxSize}`)
  }
  const grows = planOf(5 * MiB, 10_000 * 5 * MiB + 1)
  t.equal(grows(40 * GiB), 6 * MiB, 'one byte more, and it must grow')
  t.equal(planOf(2 * GiB, 5 * TiB)(4 * TiB), 2 * GiB, 'larger than the growth ever is')
})

t.test('lowered limits shape the growth', async t => {
  const limits = { ...LIMITS, maxParts: 10, growthDivisor: 4, growthStep: 10, growthCap: 50 }
  const plan = planOf(20, 1_000, undefined, limits)
  t.strictSame([0, 80, 81, 120, 121, 200, 201, 900].map(plan), [20, 20, 30, 30, 40, 50, 50, 50])
})

/** Sizes of all parts of a stream of so many bytes, with where each begins. */
const partsOf = (plan: (bytesCut: number) => number, bytes: number) => {
  const parts: { at: number; size: number }[] = []
  for (let at = 0; at < bytes; ) {
    const size = plan(at)
    parts.push({ at, size })
    at += size
  }
  return parts
}

/** What is expected or allowed: from tiny to all, close to where the plan bends. */
const ENDS = [1, 5 * MiB, 870 * MiB, GiB, 4 * GiB, 48 * GiB, 49 * GiB, 50 * GiB + 1]
ENDS.push(...Array.from({ length: 60 }, (_, i) => Math.floor(GiB * 1.145 ** (i + 1) + i)))
ENDS.push(900 * GiB, TiB, 4 * TiB, 5 * TiB - 1, 5 * TiB)

t.test(
  'whatever is expected, 5 TiB stay within 10,000 parts, and none beyond is larger',
  async t => {
    const broken: string[] = []
    for (const partSize of [5 * MiB, 5 * MiB + 1, 16 * MiB, 7_777_777, 200 * MiB]) {
      const without = planOf(partSize, 5 * TiB)
      for (const expected of ENDS) {
        const plan = planOf(partSize, 5 * TiB, expected)
        const parts = partsOf(plan, 5 * TiB)
        const name = `parts of ${partSize}, ${expected} expected`
        if (parts.length > LIMITS.maxParts) broken.push(`${name}: ${parts.length} parts`)
        const larger = parts.find(({ at, size }) => at >= expected && size > without(at))
        if (larger) broken.push(`${name}: ${larger.size} at ${larger.at}, beyond`)
        const odd = parts.find(({ size }) => !Number.isInteger(size) || size < partSize)
        if (odd) broken.push(`${name}: a part of ${odd.size}`)
        const lastExpected = plan(expected - 1)
        const lastWithout = without(expected - 1)
        if (lastExpected > lastWithout) broken.push(`${name}: ${lastExpected} at its end`)
      }
    }
    t.strictSame(broken, [])
  },
)

t.test('whatever is allowed is reached, and no part is larger than if more were', async t => {
  const broken: string[] = []
  for (const partSize of [5 * MiB, 5 * MiB + 1, 64 * MiB]) {
    const unbounded = planOf(partSize, 5 * TiB)
    for (const maxSize of ENDS) {
      for (const expected of [undefined, Math.ceil(maxSize / 3), maxSize, 5 * TiB]) {
        const parts = partsOf(planOf(partSize, maxSize, expected), maxSize)
        const name = `parts of ${partSize}, at most ${maxSize}, ${expected} expected`
        if (parts.length > LIMITS.maxParts) broken.push(`${name}: ${parts.length} parts`)
        const larger = parts.find(({ at, size }) => size > unbounded(at))
        if (!expected && larger) broken.push(`${name}: ${larger.size} at ${larger.at}`)
      }
    }
  }
  t.strictSame(broken, [])
})

t.test('what is known of the length keeps the last part small', async t => {
  const figures: [expected: number, last: number, without: number][] = [
    [10 * GiB, 6 * MiB, 12 * MiB],
    [50 * GiB, 17 * MiB, 57 * MiB],
    [100 * GiB, 28 * MiB, 114 * MiB],
    [250 * GiB, 58 * MiB, 285 * MiB],
    [TiB, 187 * MiB, GiB],
  ]
  for (const [expected, last, without] of figures) {
    t.equal(planOf(5 * MiB, 5 * TiB, expected)(expected - 1), last, `${expected} expected`)
    t.equal(planOf(5 * MiB, 5 * TiB)(expected - 1), without, `${expected}, and nothing known`)
  }
  t.equal(planOf(5 * MiB, 100 * GiB)(100 * GiB - 1), 11 * MiB, 'no more than 100 GiB allowed')
  t.equal(planOf(5 * MiB, 100 * GiB)(GiB), 5 * MiB)
})
