import t, { type Test } from 'tap'
import { type RefreshingToken, TokenSource } from '../lib/frameio/token.ts'

/** A token function that counts: `t1`, `t2` … */
const counting = () => {
  const calls = { count: 0 }
  return { calls, token: async () => `t${++calls.count}` }
}

t.test('a string is the token, and no other can be had', async t => {
  const source = new TokenSource('abc')
  t.equal(source.renewable, false)
  t.equal(await source.get(), 'abc')
  source.refuse('abc')
  t.equal(await source.get(), 'abc')
})

t.test('a function is asked once, and not before it is needed', async t => {
  const { token, calls } = counting()
  const source = new TokenSource(token)
  t.equal(source.renewable, true)
  t.equal(calls.count, 0)
  t.strictSame(await Promise.all([source.get(), source.get()]), ['t1', 't1'])
  t.equal(await source.get(), 't1')
  t.equal(calls.count, 1)
})

t.test('a function may answer at once', async t => {
  t.equal(await new TokenSource(() => 'now').get(), 'now')
})

t.test('a refused token is replaced once, for all who were refused', async t => {
  const { token, calls } = counting()
  const source = new TokenSource(token)
  await source.get()
  source.refuse('t1')
  const next = source.get()
  source.refuse('t1') // Somebody else's refusal arrives while the new one is being fetched …
  t.equal(await next, 't2')
  source.refuse('t1') // … or after.
  t.equal(await source.get(), 't2')
  t.equal(calls.count, 2)
})

t.test('a function that fails, either way, is asked again', async t => {
  for (const fail of [() => Promise.reject(new Error('down')), () => raise(new Error('down'))]) {
    let calls = 0
    const source = new TokenSource(() => (++calls === 1 ? fail() : 'up'))
    await t.rejects(Promise.all([source.get(), source.get()]), { message: 'down' })
    t.equal(await source.get(), 'up')
    t.equal(calls, 2)
  }
})

const raise = (error: Error): never => {
  throw error
}

/** A refreshing token by hand: `t1`, `t2` …, each to be replaced when its time comes. */
const refreshing = () => {
  const state = { renewAt: Number.POSITIVE_INFINITY, isDown: false, asked: [] as unknown[][] }
  const token = async (...refused: unknown[]) => {
    state.asked.push(refused)
    if (state.isDown) throw new Error('down')
    return `t${state.asked.length}`
  }
  Object.defineProperty(token, 'renewAt', { get: () => state.renewAt })
  return { state, token: token as unknown as RefreshingToken }
}

/** Turns the clock on by as many ms as it is called with, while the test runs. */
const clockOf = (t: Test) => {
  const now = performance.now.bind(performance)
  let ahead = 0
  performance.now = () => now() + ahead
  t.teardown(() => {
    performance.now = now
  })
  return (ms: number) => {
    ahead += ms
  }
}

t.test('only a refreshing token is told which token was refused', async t => {
  const { token, state } = refreshing()
  const source = new TokenSource(token)
  await source.get()
  source.refuse('t1')
  t.equal(await source.get(), 't2')
  t.strictSame(state.asked, [[undefined], ['t1']])
  const asked: unknown[][] = []
  const plain = new TokenSource((...args: unknown[]) => {
    asked.push(args)
    return 'p'
  })
  await plain.get()
  plain.refuse('p')
  await plain.get()
  t.strictSame(asked, [[], []], 'its arguments are its own')
})

t.test('ahead of expiry a function that fails is asked again after a pause', async t => {
  const { token, state } = refreshing()
  const turnOn = clockOf(t)
  const source = new TokenSource(token)
  await source.get()
  state.renewAt = performance.now() - 1
  state.isDown = true
  for (let i = 0; i < 100; i++) t.equal(await source.get(), 't1')
  t.equal(state.asked.length, 2, 'once, for a hundred calls')
  turnOn(5_000)
  await source.get()
  await source.get()
  t.equal(state.asked.length, 3, 'and again after the pause')
  source.refuse('t1')
  await t.rejects(source.get(), { message: 'down' })
  await t.rejects(source.get(), { message: 'down' })
  t.equal(state.asked.length, 5, 'without a token there is no pause')
})

t.test('a function that says no better time is not asked at every call either', async t => {
  const { token, state } = refreshing()
  state.renewAt = 0
  const source = new TokenSource(token)
  for (let i = 0; i < 100; i++) await source.get()
  t.equal(state.asked.length, 2)
})

t.test('a token that was replaced for somebody else is not used any more', async t => {
  const { token, state } = refreshing()
  state.renewAt = performance.now() + 60_000
  const source = new TokenSource(token)
  await source.get()
  t.equal(await source.get(), 't1')
  state.renewAt += 60_000
  t.equal(await source.get(), 't2')
  t.equal(await source.get(), 't2')
})

/** A token function whose answers are given by hand. */
const byHand = () => {
  const answers: { resolve(token: string): void; reject(error: Error): void }[] = []
  const token = () =>
    new Promise<string>((resolve, reject) => {
      answers.push({ resolve, reject })
    })
  return { answers, token }
}

t.test('one that does not answer is asked again after the wait was given up', async t => {
  const { answers, token } = byHand()
  const source = new TokenSource(token)
  source.giveUpWaiting(source.get())
  const second = source.get()
  t.equal(answers.length, 2)
  answers[1]?.resolve('second')
  t.equal(await second, 'second')
  source.giveUpWaiting(second)
  t.equal(await source.get(), 'second', 'who has a token gives nothing up')
})

t.test('a late answer does not keep a refused token in force', async t => {
  const { answers, token } = byHand()
  const source = new TokenSource(token)
  const late = source.get()
  source.giveUpWaiting(late)
  const second = source.get()
  answers[1]?.resolve('second')
  await second
  answers[0]?.resolve('late')
  await late
  source.refuse('second')
  void source.get()
  t.equal(answers.length, 3, 'the function is asked for a token that replaces the refused one')
})

t.test('a late failure does not disturb the question that replaced it', async t => {
  const { answers, token } = byHand()
  const source = new TokenSource(token)
  const late = source.get()
  source.giveUpWaiting(late)
  const second = source.get()
  answers[0]?.reject(new Error('late'))
  await t.rejects(late, { message: 'late' })
  const third = source.get()
  t.equal(answers.length, 2, 'all wait for the one question that is open')
  for (const answer of answers) answer.resolve('second')
  t.strictSame(await Promise.all([second, third]), ['second', 'second'])
})
