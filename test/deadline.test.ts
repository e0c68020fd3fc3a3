import { getEventListeners } from 'node:events'
import t from 'tap'
import { DEADLINE, withDeadline } from '../lib/net/deadline.ts'
import { failureOf, within } from './support/servers.ts'

/** Ends only with its signal, with the signal's reason or an error of its own. */
const until = (signal: AbortSignal, error?: Error) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(error ?? signal.reason))
  })

t.test('an attempt in time gives what it gives, and leaves no listener', async t => {
  const { signal } = new AbortController()
  t.equal(await withDeadline(signal, { allowed: () => 60_000 }, async () => 7), 7)
  const wrong = new Error('wrong')
  t.equal(
    await failureOf(withDeadline(signal, { allowed: () => 60_000 }, () => Promise.reject(wrong))),
    wrong,
  )
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('past the deadline it fails with DEADLINE, whatever the attempt makes of it', async t => {
  const { signal } = new AbortController()
  t.equal(
    await within(5_000, failureOf(withDeadline(signal, { allowed: () => 5 }, s => until(s)))),
    DEADLINE,
  )
  const own = new Error('aborted')
  const run = withDeadline(signal, { allowed: () => 5 }, s => until(s, own))
  t.equal(await within(5_000, failureOf(run)), DEADLINE)
})

t.test('what is allowed may grow meanwhile', async t => {
  const { signal } = new AbortController()
  let asked = 0
  const allowed = () => (++asked < 3 ? asked * 20 : 60_000)
  const run = withDeadline(
    signal,
    { allowed },
    () =>
      new Promise<string>(resolve => {
        const look = setInterval(() => {
          if (asked < 3) return
          clearInterval(look)
          resolve('in time')
        }, 1)
      }),
  )
  t.equal(await within(5_000, run), 'in time')
  t.equal(asked, 3)
})

t.test('no deadline is too long for a timer', async t => {
  const { signal } = new AbortController()
  for (const forever of [Infinity, Number.MAX_VALUE, 2 ** 31, 2 ** 40]) {
    let asked = 0
    const run = withDeadline(
      signal,
      {
        allowed: () => {
          asked++
          return forever
        },
      },
      s => Promise.race([until(s), new Promise(resolve => setTimeout(resolve, 10, 'in time'))]),
    )
    t.equal(await run, 'in time', `${forever} ms`)
    t.equal(asked, 1, 'a timer that is too long would fire at once, again and again')
  }
})

t.test('the signal ends the attempt with its reason', async t => {
  const ending = new AbortController()
  const reason = new Error('enough')
  const run = withDeadline(ending.signal, { allowed: () => 60_000 }, s => until(s))
  ending.abort(reason)
  t.equal(await failureOf(run), reason)
})

t.test('no attempt is made once the signal has aborted', async t => {
  const run = withDeadline(
    AbortSignal.abort(new Error('before')),
    { allowed: () => 60_000 },
    async () => {
      t.fail('it was attempted')
    },
  )
  await t.rejects(run, { message: 'before' })
})
