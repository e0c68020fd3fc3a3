import t, { type Test } from 'tap'
import { BlockAccount, BlockPool } from '../lib/upload/blocks.ts'

const SIZE = 10

/** A pool for so many blocks, and how to open accounts of it. */
const poolOf = (blocks: number) => {
  const pool = new BlockPool(blocks * SIZE, SIZE)
  return { pool, account: () => new BlockAccount(pool) }
}

/** As many blocks as there is room for, up to so many. */
const takeUpTo = (account: BlockAccount, count: number) => {
  const blocks: Buffer[] = []
  while (blocks.length < count) {
    const block = account.take()
    if (!block) break
    blocks.push(block)
  }
  return blocks
}

t.test('blocks are granted up to the budget, over all accounts', async t => {
  const { pool, account } = poolOf(3)
  const [one, other] = [account(), account()]
  t.equal(takeUpTo(one, 2).length, 2)
  t.equal(takeUpTo(other, 2).length, 1)
  t.equal(one.take(), undefined)
  t.equal(pool.held, 3 * SIZE)
  t.equal(one.blockSize, SIZE)
  t.equal(other.take(), undefined)
})

t.test('a budget that is no multiple of a block is not passed', async t => {
  const pool = new BlockPool(2 * SIZE + 9, SIZE)
  t.equal(takeUpTo(new BlockAccount(pool), 5).length, 2)
})

t.test('two parts may always be held, whatever the others hold', async t => {
  const { pool, account } = poolOf(2)
  const [greedy, poor] = [account(), account()]
  takeUpTo(greedy, 2)
  t.equal(poor.take(), undefined)
  poor.beginPart(SIZE + 1) // A part of two blocks, the second nearly empty.
  t.equal(takeUpTo(poor, 9).length, 4)
  t.equal(pool.held, 6 * SIZE)
})

t.test('the allowance follows the size of the parts', async t => {
  const { account } = poolOf(0)
  const one = account()
  one.beginPart(SIZE)
  t.equal(takeUpTo(one, 9).length, 2)
  one.beginPart(2 * SIZE)
  t.equal(takeUpTo(one, 9).length, 2, 'two more make four')
})

t.test('a part that is kept counts beside the two', async t => {
  const { account } = poolOf(0)
  const one = account()
  one.beginPart(SIZE)
  t.equal(takeUpTo(one, 1).length, 1)
  one.keepPart(SIZE)
  one.beginPart(2 * SIZE)
  t.equal(takeUpTo(one, 9).length, 4)
})

t.test('the block that came back last goes out first', async t => {
  const { pool, account } = poolOf(3)
  const one = account()
  const [a, b, c] = takeUpTo(one, 3)
  if (!a || !b || !c) throw new Error('There should be room for three')
  one.give([a, b])
  one.give([c])
  t.equal(pool.held, 0)
  t.equal(pool.idle, 3 * SIZE)
  t.strictSame(
    takeUpTo(account(), 3).map(block => [a, b, c].indexOf(block)),
    [2, 1, 0],
  )
  t.equal(pool.idle, 0)
})

t.test('a block has memory of its own, so that dropping it frees it', async t => {
  const [block] = takeUpTo(poolOf(1).account(), 1)
  t.equal(block?.buffer.byteLength, SIZE)
})

t.test('who waits longest is woken first, one for each block that came back', async t => {
  const { account } = poolOf(2)
  const [holder, ...waiters] = [account(), account(), account(), account()]
  const blocks = takeUpTo(holder, 2)
  const woken: [waiter: number, gotBlock: boolean][] = []
  for (const [i, waiter] of waiters.entries()) {
    waiter.whenRoom(() => woken.push([i, waiter.take() !== undefined]))
  }
  holder.give(blocks.splice(0, 1))
  t.strictSame(woken, [[0, true]])
  holder.give(blocks)
  t.strictSame(woken, [
    [0, true],
    [1, true],
  ])
  waiters[0]?.give([Buffer.alloc(SIZE)])
  t.strictSame(woken.at(-1), [2, true])
  t.equal(woken.length, 3, 'each is called back once')
})

t.test('who is woken finds room, whatever those before took', async t => {
  const { account } = poolOf(2)
  const [holder, first, second] = [account(), account(), account()]
  const blocks = takeUpTo(holder, 2)
  const got: number[] = []
  first.whenRoom(() => got.push(takeUpTo(first, 2).length))
  second.whenRoom(() => got.push(takeUpTo(second, 1).length))
  holder.give(blocks)
  t.strictSame(got, [2], 'the second keeps its place in the queue until there is room')
})

t.test('who waits again while being woken waits behind the others', async t => {
  const { account } = poolOf(1)
  const [holder, first, second] = [account(), account(), account()]
  const woken: string[] = []
  const goOn = () => {
    woken.push('first')
    const block = first.take()
    first.whenRoom(goOn)
    if (block && woken.length < 5) first.give([block])
  }
  first.whenRoom(goOn)
  second.whenRoom(() => {
    woken.push('second')
    const block = second.take()
    if (block) second.give([block])
  })
  holder.give(takeUpTo(holder, 1))
  t.ok(woken.includes('second'), 'one account cannot keep all room to itself')
})

t.test('blocks that come back while somebody is woken wake nobody twice', async t => {
  const { account } = poolOf(3)
  const [holder, first, second] = [account(), account(), account()]
  const blocks = takeUpTo(holder, 3)
  let calls = 0
  first.whenRoom(() => holder.give(blocks.splice(0)))
  second.whenRoom(() => {
    calls++
  })
  holder.give(blocks.splice(0, 1))
  t.equal(calls, 1, 'a second call would take the same bytes in once more')
})

t.test('a waiter within its own allowance is woken though the budget is spent', async t => {
  const { account } = poolOf(2)
  const [greedy, poor] = [account(), account()]
  takeUpTo(greedy, 2)
  poor.beginPart(SIZE)
  const mine = takeUpTo(poor, 2)
  let woken = 0
  poor.whenRoom(() => {
    woken++
  })
  poor.give(mine.splice(0, 1))
  t.equal(woken, 1)
})

/** What happens in the next so many turns of the event loop, one string a turn. */
const watchLoop = async (events: string[], turns: number) => {
  const seen: string[] = []
  for (let turn = 0; turn < turns; turn++) {
    await new Promise(resolve => setImmediate(resolve))
    seen.push(events.splice(0).join(' '))
  }
  return seen
}

t.test(
  'one goes on at a turn of the event loop, the one that came first as often as it asks',
  async t => {
    const { account } = poolOf(1)
    const events: string[] = []
    const uploads = { first: account(), second: account(), third: account() }
    const wait = (name: keyof typeof uploads) => uploads[name].nextTurn(() => events.push(name))
    wait('third')
    wait('second')
    wait('first')
    t.strictSame(events, [], 'never at once')
    t.strictSame(await watchLoop(events, 2), ['first', 'second'])
    wait('first')
    t.strictSame(await watchLoop(events, 3), ['first', 'third', ''])
    wait('second')
    t.strictSame(await watchLoop(events, 2), ['second', ''], 'the line starts anew')
  },
)

t.test('it goes behind the others when it has begun four parts in a row', async t => {
  const { account } = poolOf(1)
  const events: string[] = []
  const isBusy = (name: string, upload: BlockAccount, turns: number) =>
    upload.nextTurn(() => {
      events.push(name)
      upload.beginPart(SIZE)
      if (turns > 1) isBusy(name, upload, turns - 1)
    })
  for (const name of ['a', 'b']) isBusy(name, account(), 7)
  // In its fifth turn it begins the part that puts it behind.
  t.strictSame((await watchLoop(events, 15)).join(' '), 'a a a a a b b b b b a a b b ')
})

t.test('who needs less than the others goes first, but saves up nothing', async t => {
  const { account } = poolOf(1)
  const events: string[] = []
  let isOver = false
  const isBusy = (name: string, upload: BlockAccount) =>
    upload.nextTurn(() => {
      events.push(name)
      upload.beginPart(SIZE)
      if (!isOver) isBusy(name, upload)
    })
  const camera = account()
  for (const name of ['a', 'b']) isBusy(name, account())
  for (let part = 0; part < 10; part++) {
    await watchLoop(events, 4)
    camera.nextTurn(() => {
      events.push('camera')
      camera.beginPart(SIZE)
    })
    t.strictSame(await watchLoop(events, 1), ['camera'])
  }
  isBusy('camera', camera)
  const seen = await watchLoop(events, 30)
  for (const name of ['a', 'b', 'camera']) {
    const turns = seen.filter(who => who === name).length
    t.ok(turns >= 8 && turns <= 12, `${name}: ${turns} of 30`)
  }
  isOver = true
})

t.test('a closed account is not woken, and what it holds still comes back', async t => {
  const { pool, account } = poolOf(1)
  const [holder, closed] = [account(), account()]
  const blocks = takeUpTo(holder, 1)
  closed.whenRoom(() => t.fail('woken after close'))
  closed.close()
  closed.wake()
  holder.close()
  holder.give(blocks)
  t.equal(pool.held, 0)
})

/** Intervals that pass when the test says so. */
const handClock = (t: Test) => {
  const jobs = new Map<object, () => void>()
  const { setInterval, clearInterval } = globalThis
  t.teardown(() => Object.assign(globalThis, { setInterval, clearInterval }))
  Object.assign(globalThis, {
    setInterval: (job: () => void) => {
      const timer = { unref: () => timer }
      jobs.set(timer, job)
      return timer
    },
    clearInterval: (timer: object) => jobs.delete(timer),
  })
  return {
    running: () => jobs.size,
    tick: () => {
      for (const job of jobs.values()) job()
    },
  }
}

t.test('blocks that are not needed go back to the system after one to two periods', async t => {
  const intervals = handClock(t)
  const { pool, account } = poolOf(4)
  const one = account()
  one.give(takeUpTo(one, 4))
  intervals.tick()
  t.equal(pool.idle, 4 * SIZE, 'they were in use in this period')

  const busy = takeUpTo(one, 1)
  one.give(busy)
  intervals.tick()
  t.equal(pool.idle, SIZE, 'three were idle for the whole of a period')
  intervals.tick()
  t.equal(pool.idle, 0)

  t.equal(intervals.running(), 0, 'with no idle block there is nothing to sweep')

  one.give(takeUpTo(one, 2))
  intervals.tick()
  intervals.tick()
  t.equal(pool.idle, 0, 'the sweeping begins again')
})

t.test('whoever waits behind one that takes all is given what others could do without', async t => {
  const { account } = poolOf(4)
  const [holder, first, second] = [account(), account(), account()]
  const spare = takeUpTo(holder, 4)
  let isDurable = false
  holder.onShort(() => {
    const block = isDurable ? spare.pop() : undefined
    if (block) holder.give([block])
  })
  const woken: string[] = []
  for (const [name, waiting] of Object.entries({ first, second })) {
    t.equal(waiting.take(), undefined)
    waiting.whenRoom(() => {
      woken.push(name)
      takeUpTo(waiting, 1)
    })
  }
  isDurable = true
  holder.give([spare.pop() as Buffer])
  t.strictSame(woken, ['first', 'second'])
  t.equal(spare.length, 2, 'and no more than that')
})
