import t from 'tap'
import { Lines } from '../lib/sources/lines.ts'
import { chunked } from './support/sandboxes.ts'

/** The lines of a text that comes in chunks of so many bytes, and what has begun after them. */
const linesOf = (text: string, size: number) => {
  const lines = new Lines()
  const whole = [...chunked(Buffer.from(text), size)].flatMap(chunk => lines.push(chunk))
  return [...whole, lines.begun]
}

t.test('lines are whole, however their bytes are cut', async t => {
  for (const [text, ...expected] of [
    ['', ''],
    ['one', 'one'],
    ['one\ntwo\n', 'one', 'two', ''],
    ['one\r\n\r\ntwo', 'one', '', 'two'],
    ['spät\nfrüh ✓', 'spät', 'früh ✓'],
    ['frame=1\rframe=2\rframe=3\nthe end\n', 'frame=3', 'the end', ''],
    ['frame=1\rframe=2\r', 'frame=2'],
    ['frame=1\rframe=2\r\n', 'frame=2', ''],
  ] as const) {
    for (const size of [1, 2, 3, 7, 100]) {
      t.strictSame(linesOf(text, size), expected, JSON.stringify({ text, size }))
    }
  }
})

t.test('a line without end is kept as far as it can be', async t => {
  const [line = ''] = linesOf('x'.repeat(100_000), 1_000)
  t.equal(line.length, 4_096)
  const [drawn] = linesOf('frame\r'.repeat(100_000), 1_000)
  t.equal(drawn, 'frame')
})

t.test('text is taken as it is', async t => {
  const lines = new Lines()
  t.strictSame(lines.push('ä\nö'), ['ä'])
  t.equal(lines.begun, 'ö')
})
