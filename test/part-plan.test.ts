import t from 'tap'
import { LIMITS } from '../lib/frameio/protocol.ts'
import { partPlan } from '../lib/upload/part-plan.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
const TiB = 2 ** 40

/** Cuts a stream of so many bytes to the end: how many parts, and which rule was broken first. */
const cutAll = (partSize: number, bytes: number) => {
  const plan = partPlan(partSize, bytes, LIMITS)
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
  const plan = partPlan(5 * MiB, 5 * TiB, LIMITS)
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
    const plan = partPlan(5 * MiB, maxSize, LIMITS)
    t.strictSame([0, GiB, 40 * GiB, TiB].map(plan), Array(4).fill(5 * MiB), `up to ${maxSize}`)
  }
  const grows = partPlan(5 * MiB, 10_000 * 5 * MiB + 1, LIMITS)
  t.equal(grows(10 * GiB), 12 * MiB, 'one byte more, and it must grow')
  t.equal(partPlan(2 * GiB, 5 * TiB, LIMITS)(4 * TiB), 2 * GiB, 'larger than the growth ever is')
})

t.test('lowered limits shape the growth', async t => {
  const limits = { ...LIMITS, maxParts: 10, growthDivisor: 4, growthStep: 10, growthCap: 50 }
  const plan = partPlan(20, 1_000, limits)
  t.strictSame([0, 80, 81, 120, 121, 200, 201, 900].map(plan), [20, 20, 30, 30, 40, 50, 50, 50])
})
