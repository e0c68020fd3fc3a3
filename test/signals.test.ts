/**
 * Which signals are one, as a process hears them that has other things to do.
 */
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { onSignals } from '../lib/cli/signals.ts'
import { until } from './support/sandboxes.ts'

t.test('a signal that was sent in time counts as the same, though it is heard late', async t => {
  const heard: string[] = []
  const send = () => process.kill(process.pid, 'SIGINT')
  const end = () => {
    heard.push('end')
    send()
    const start = performance.now()
    while (performance.now() - start < 700) {} // As on a machine that is busy.
  }
  onSignals(end, () => heard.push('abort'))
  send()
  await until(() => heard.length > 0, 'the first')
  await wait(100)
  t.strictSame(heard, ['end'])
  await wait(600)
  send()
  await until(() => heard.length > 1, 'a second one')
  t.strictSame(heard, ['end', 'abort'])
})

t.test('Ctrl-\\ aborts whatever came before, and what npx passes on of it is the same', async t => {
  const heard: string[] = []
  const send = async (signal: NodeJS.Signals) => {
    process.kill(process.pid, signal)
    await wait(50)
  }
  onSignals(
    () => heard.push('end'),
    () => heard.push('abort'),
  )
  await send('SIGINT')
  for (const signal of ['SIGQUIT', 'SIGQUIT', 'SIGTERM'] as const) await send(signal)
  t.strictSame(heard, ['end', 'abort'])
  await wait(700)
  await send('SIGQUIT')
  t.strictSame(heard, ['end', 'abort', 'abort'])
})
