import t from 'tap'
import { memoryPart } from '../lib/upload/part.ts'

const partOf = (size: number, blocks: readonly Buffer[]) => {
  const given = { back: 0 }
  const part = memoryPart(
    { number: 3, size, final: true, fileSize: size, md5: undefined },
    blocks,
    () => {
      given.back++
    },
  )
  return { part, given }
}

/** The slices of a body, which for a part in memory comes at once. */
const slicesOf = async (body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) => {
  const slices: Uint8Array[] = []
  for await (const slice of body) slices.push(slice)
  return slices
}

t.test('a body is all bytes, as often as it is asked for', async t => {
  const { part } = partOf(6, [Buffer.from('abcd'), Buffer.from('efxx')])
  for (const turn of ['first', 'second']) {
    const text = Buffer.concat(await slicesOf(part.body())).toString()
    t.equal(text, 'abcdef', `the ${turn} time`)
  }
})

t.test('two bodies at once do not disturb each other', async t => {
  const { part } = partOf(4, [Buffer.from('ab'), Buffer.from('cd')])
  const [one, other] = [part.body(), part.body()]
  t.equal(Buffer.concat(await slicesOf(one)).toString(), 'abcd')
  t.equal(Buffer.concat(await slicesOf(other)).toString(), 'abcd')
})

t.test('slices are the blocks themselves: nothing is copied', async t => {
  const blocks = [Buffer.from('abcd'), Buffer.from('efgh')]
  const slices = await slicesOf(partOf(7, blocks).part.body())
  t.equal(slices.length, 2)
  t.equal(slices[0], blocks[0])
  t.equal(slices[1]?.buffer, blocks[1]?.buffer)
  t.equal(slices[1]?.length, 3)
})

t.test('memory is given back once, and then there is no body', async t => {
  const { part, given } = partOf(2, [Buffer.from('ab')])
  t.match(part, { number: 3, size: 2, final: true, fileSize: 2, md5: undefined })
  part.release(true)
  part.release(true)
  t.equal(given.back, 1)
  await t.rejects(slicesOf(part.body()), { message: /part 3 were released/ })
})
