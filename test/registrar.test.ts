import t from 'tap'
import type { RegisterOptions } from '../lib/frameio/client.ts'
import type { Part } from '../lib/spool/home.ts'
import { Registrar, type RegistrarOptions } from '../lib/upload/registrar.ts'

const partOf = (number: number, fileSize?: number): Part => ({
  number,
  size: number * 10,
  final: fileSize !== undefined,
  fileSize,
  md5: undefined,
  body: () => [],
  release: () => {},
})

const tied = (number: number): Part => ({ ...partOf(number), isTied: true })

interface Call {
  readonly numbers: readonly number[]
  readonly options: RegisterOptions
  readonly answer: () => void
  readonly fail: (error: Error) => void
}

/** A registrar whose calls are answered by hand. */
const setUp = (options: Partial<RegistrarOptions> = {}) => {
  const calls: Call[] = []
  const registrar = new Registrar({
    register: (parts, options) =>
      new Promise((resolve, reject) => {
        const numbers = parts.map(part => part.number)
        const answer = () => resolve(numbers.map(number => `https://s3/${number}`))
        calls.push({ numbers, options, answer, fail: reject })
      }),
    perCall: 100,
    window: () => 100,
    assetName: undefined,
    ...options,
  })
  const numbers = () => calls.map(call => call.numbers)
  const answerLast = async () => {
    calls.at(-1)?.answer()
    // The answer has its turn, and then those who make the next call of it.
    await new Promise(setImmediate)
    await new Promise(setImmediate)
  }
  return { registrar, calls, numbers, answerLast }
}

/** Waits until the event loop has had its turn. */
const nextTurn = () => new Promise(resolve => setImmediate(resolve))

t.test('the first part goes at once; those that come meanwhile go together, in order', async t => {
  const { registrar, numbers, answerLast } = setUp()
  const urls = [1, 2, 3].map(number => registrar.add(partOf(number)))
  await new Promise(setImmediate)
  t.strictSame(numbers(), [[1]], 'one call is in flight at a time')
  await answerLast()
  t.strictSame(numbers(), [[1], [2, 3]])
  await answerLast()
  t.strictSame(
    (await Promise.all(urls)).map(({ url }) => url),
    ['https://s3/1', 'https://s3/2', 'https://s3/3'],
    'each part has its own URL',
  )
})

t.test('a URL knows when it came, on the monotonic clock', async t => {
  const { registrar, answerLast } = setUp()
  const before = performance.now()
  const url = registrar.add(partOf(1))
  await answerLast()
  const { since } = await url
  t.ok(since >= before && since <= performance.now())
})

t.test('no call has more parts than allowed', async t => {
  const { registrar, numbers, answerLast } = setUp({ perCall: 2 })
  for (const number of [1, 2, 3, 4, 5, 6]) void registrar.add(partOf(number))
  for (let i = 0; i < 5; i++) await answerLast()
  t.strictSame(numbers(), [[1], [2, 3], [4, 5], [6]])
})

t.test('a part that is tied goes off with the one behind it', async t => {
  const { registrar, numbers, answerLast } = setUp({ perCall: 3, window: () => 3 })
  void registrar.add(tied(9))
  t.strictSame(numbers(), [], 'and not before that is there')
  void registrar.add(partOf(10))
  t.strictSame(numbers(), [[9, 10]])
  for (const number of [1, 2]) void registrar.add(partOf(number))
  void registrar.add(tied(3))
  void registrar.add(partOf(4))
  registrar.startPart()
  registrar.startPart()
  await answerLast()
  t.strictSame(numbers().at(-1), [1, 2], 'where a call has no room for both, in the next')
  registrar.startPart()
  registrar.startPart()
  await answerLast()
  t.strictSame(numbers().at(-1), [3, 4])
  void registrar.add(tied(5))
  void registrar.add(partOf(6))
  registrar.startPart()
  await answerLast()
  t.strictSame(numbers().at(-1), [5, 6], 'also where the window has room for one alone')
})

t.test('no more parts are registered than the window, until lanes take some', async t => {
  const { registrar, numbers, answerLast } = setUp({ window: () => 3 })
  for (const number of [1, 2, 3, 4, 5, 6]) void registrar.add(partOf(number))
  await answerLast()
  await answerLast()
  t.strictSame(numbers(), [[1], [2, 3]], 'three are registered and wait for a lane')
  registrar.startPart()
  await nextTurn()
  t.strictSame(numbers().at(-1), [4])
  registrar.startPart()
  registrar.startPart()
  await answerLast()
  t.strictSame(numbers().at(-1), [5, 6])
})

t.test('the window is asked what a call takes, and what size comes next', async t => {
  const asked: [number, number][] = []
  const { registrar, numbers, answerLast } = setUp({
    window: ({ size }, callTime) => {
      asked.push([size, callTime])
      return callTime >= 30 ? 3 : 1
    },
  })
  for (let number = 1; number <= 5; number++) void registrar.add(partOf(number))
  t.strictSame(numbers(), [[1]], 'as little as can be, before a call was measured')
  await new Promise(resolve => setTimeout(resolve, 40))
  await answerLast()
  t.strictSame(numbers(), [[1], [2, 3]], 'more where calls take long')
  t.match(asked.at(-1)?.[0], 20)
})

t.test('parts that get their lanes together make room for one call, not for one each', async t => {
  const { registrar, numbers, answerLast } = setUp({ window: () => 4 })
  for (let number = 1; number <= 9; number++) void registrar.add(partOf(number))
  await answerLast()
  await answerLast()
  t.strictSame(numbers(), [[1], [2, 3, 4]])
  for (let lane = 1; lane <= 3; lane++) registrar.startPart()
  t.equal(numbers().length, 2, 'not with the room of the first')
  await nextTurn()
  t.strictSame(numbers().at(-1), [5, 6, 7])
})

t.test('parts that get their lanes with their URLs make room before the next call', async t => {
  const { registrar, numbers, answerLast } = setUp({ window: () => 3 })
  for (let number = 1; number <= 6; number++) {
    void registrar.add(partOf(number)).then(() => registrar.startPart())
  }
  await answerLast()
  t.strictSame(numbers(), [[1], [2, 3, 4]])
  await answerLast()
  t.strictSame(numbers().at(-1), [5, 6])
})

t.test('the final part goes with the size of the file and the name', async t => {
  const { registrar, calls, answerLast } = setUp({ assetName: 'a.mp4' })
  void registrar.add(partOf(1))
  void registrar.add(partOf(2))
  await answerLast()
  void registrar.add(partOf(3, 60))
  await answerLast()
  t.strictSame(
    calls.map(({ options }) => options),
    [{}, {}, { assetFilesize: 60, assetName: 'a.mp4' }],
  )
})

t.test(
  'a part that needs another URL goes before those that wait, and beyond the window',
  async t => {
    const { registrar, numbers, answerLast } = setUp({ window: () => 1, perCall: 2 })
    void registrar.add(partOf(1))
    await answerLast()
    void registrar.add(partOf(2))
    t.strictSame(numbers(), [[1]])
    const again = registrar.again(partOf(1))
    t.strictSame(numbers().at(-1), [1])
    await answerLast()
    t.match(await again, { url: 'https://s3/1' })
    registrar.startPart()
    await nextTurn()
    t.strictSame(numbers(), [[1], [1], [2]])
  },
)

t.test('parts again and new ones share a call, and each gets its own URL', async t => {
  const { registrar, numbers, answerLast } = setUp({ perCall: 3 })
  void registrar.add(partOf(9))
  const urls = [
    registrar.add(partOf(5)),
    registrar.again(partOf(3)),
    registrar.add(partOf(6)),
    registrar.again(partOf(4)),
  ]
  await answerLast()
  t.strictSame(numbers().at(-1), [3, 4, 5], 'those again first, and no more than allowed')
  await answerLast()
  await answerLast()
  t.strictSame(
    (await Promise.all(urls)).map(({ url }) => url),
    [5, 3, 6, 4].map(number => `https://s3/${number}`),
  )
})

t.test('the final part again goes with the same total', async t => {
  const { registrar, calls, answerLast } = setUp()
  void registrar.add(partOf(1))
  void registrar.add(partOf(2, 30))
  await answerLast()
  await answerLast()
  void registrar.again(partOf(2, 30))
  t.strictSame(calls.at(-1)?.options, { assetFilesize: 30, assetName: undefined })
})

t.test('a call that fails fails its parts alone, and the next goes on', async t => {
  const { registrar, calls, numbers, answerLast } = setUp()
  const first = registrar.add(partOf(1))
  const second = registrar.add(partOf(2))
  calls[0]?.fail(new Error('refused'))
  await t.rejects(first, { message: 'refused' })
  await new Promise(setImmediate)
  t.strictSame(numbers(), [[1], [2]])
  await answerLast()
  t.match(await second, { url: 'https://s3/2' })
})

t.test('a call that throws fails its parts', async t => {
  const { registrar } = setUp({
    register: () => {
      throw new Error('at once')
    },
  })
  await t.rejects(registrar.add(partOf(1)), { message: 'at once' })
})
