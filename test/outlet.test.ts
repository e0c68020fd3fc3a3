/**
 * The way out to readers who do not read, with a stream that takes what the test lets it take.
 */
import { Writable } from 'node:stream'
import t from 'tap'
import { Outlet, type Standard } from '../lib/cli/outlet.ts'
import { until } from './support/sandboxes.ts'

/** A reader of a pipe, who may stop reading. */
const readerOf = () => {
  let held: (() => void) | undefined
  let isReading = true
  const seen: string[] = []
  const stream = new Writable({
    write: (chunk, _, next) => {
      seen.push(String(chunk))
      if (isReading) next()
      else held = next
    },
  })
  const stop = () => {
    isReading = false
  }
  const go = () => {
    isReading = true
    held?.()
  }
  return { stream: Object.assign(stream, { fd: -1 }) as unknown as Standard, seen, stop, go }
}

const never = new AbortController().signal

t.test('what is offered is shown now or never', async t => {
  const { stream, seen, stop, go } = readerOf()
  const outlet = new Outlet(stream)
  t.ok(outlet.offer('1'))
  stop()
  t.ok(outlet.offer('2'))
  t.notOk(outlet.offer('3'))
  go()
  t.ok(outlet.offer('4'))
  t.strictSame(seen, ['1', '2', '4'])
})

t.test('what is written is kept in order, and settled once it is taken', async t => {
  const { stream, seen, stop, go } = readerOf()
  const outlet = new Outlet(stream)
  stop()
  for (const text of ['1', '2', '3']) outlet.write(text)
  await outlet.settle(never, 1)
  t.strictSame(seen, ['1'])
  await outlet.settle(AbortSignal.abort())
  go()
  await outlet.settle(never)
  t.strictSame(seen, ['1', '2', '3'])
})

t.test('of very much the oldest are left out, and that is said in their place', async t => {
  const { stream, seen, stop, go } = readerOf()
  const outlet = new Outlet(stream, count => `(${count} left out)`)
  stop()
  for (let text = 1; text <= 1_000; text++) outlet.write(`${text}`)
  go()
  await until(() => seen.at(-1) === '1000')
  t.strictSame(seen.slice(0, 4), ['1', '2', '(499 left out)', '502'])
  t.equal(seen.length, 502)
})

t.test('whoever writes hears that the reader has left', async t => {
  const { stream } = readerOf()
  stream.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  const outlet = new Outlet(stream)
  await t.rejects(outlet.write('x'))
  await outlet.settle(never)
})
