import { getEventListeners } from 'node:events'
import t from 'tap'
import { followSignal } from '../lib/net/signals.ts'

t.test('however many follow a signal, it has one listener', async t => {
  const ending = new AbortController()
  const { signal } = ending
  const reasons: unknown[] = []
  const stops = Array.from({ length: 30 }, () =>
    followSignal(signal, reason => reasons.push(reason)),
  )
  t.equal(getEventListeners(signal, 'abort').length, 1)
  for (const stop of stops.slice(0, 20)) stop()
  t.equal(getEventListeners(signal, 'abort').length, 1, 'ten still follow')
  const reason = new Error('enough')
  ending.abort(reason)
  t.strictSame(reasons, Array(10).fill(reason))
})

t.test('when the last one stops, nothing is left on the signal', async t => {
  const { signal } = new AbortController()
  const stops = [followSignal(signal, () => {}), followSignal(signal, () => {})]
  for (const stop of stops) {
    stop()
    stop()
  }
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('a signal can be followed again after all had stopped', async t => {
  const ending = new AbortController()
  const stop = followSignal(ending.signal, () => t.fail('it had stopped'))
  stop()
  const heard: unknown[] = []
  followSignal(ending.signal, reason => heard.push(reason))
  stop() // Stopping twice must not stop who came later.
  followSignal(ending.signal, reason => heard.push(reason))
  t.equal(getEventListeners(ending.signal, 'abort').length, 1)
  ending.abort('now')
  t.strictSame(heard, ['now', 'now'])
})

t.test('who stops another while being told disturbs nobody', async t => {
  const ending = new AbortController()
  const heard: string[] = []
  followSignal(ending.signal, () => {
    heard.push('first')
    stopSecond()
  })
  const stopSecond = followSignal(ending.signal, () => heard.push('second'))
  followSignal(ending.signal, () => heard.push('third'))
  ending.abort()
  t.strictSame(heard, ['first', 'second', 'third'])
})

t.test('two signals have nothing to do with each other', async t => {
  const [one, other] = [new AbortController(), new AbortController()]
  const heard: string[] = []
  followSignal(one.signal, () => heard.push('one'))
  followSignal(other.signal, () => heard.push('other'))
  other.abort()
  t.strictSame(heard, ['other'])
})
