import t from 'tap'
import { adviceOn, causesOf, messageOf, warningOf } from '../lib/cli/failures.ts'
import { FLAGS, flagOf, readFlags } from '../lib/cli/flags.ts'
import { HELP } from '../lib/cli/help.ts'
import { Rates } from '../lib/cli/rates.ts'
import { alike } from '../lib/cli/suggest.ts'
import {
  exactSize,
  integerWithin,
  readExpect,
  readSize,
  readTime,
  showSize,
  showTime,
  within,
} from '../lib/cli/units.ts'
import { RealtimeUploadError } from '../lib/errors.ts'
import { resolveUploadOptions } from '../lib/upload/options.ts'
import { notStreamable, partsOutgrowMemory } from '../lib/upload/warnings.ts'

t.test('sizes', async t => {
  for (const [text, size] of [
    ['0', 0],
    ['5242880', 5_242_880],
    ['16MiB', 16 * 2 ** 20],
    ['16 mib', 16 * 2 ** 20],
    ['500MB', 500_000_000],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['1TB', 1e12],
    ['5TiB', 5 * 2 ** 40],
    ['7kB', 7_000],
    ['7KiB', 7_168],
    ['9B', 9],
    ['7K', 7_168],
    ['16M', 16 * 2 ** 20],
    ['16 m', 16 * 2 ** 20],
    ['5G', 5 * 2 ** 30],
    ['5t', 5 * 2 ** 40],
  ] as const) {
    t.equal(readSize('--x', text), size, text)
  }
  for (const text of [
    '',
    'MiB',
    '1P',
    '1.MiB',
    '-1MiB',
    '1e3',
    '0x10',
    '1 MiB 2',
    '١MiB',
    '1constructor',
  ]) {
    t.throws(() => readSize('--x', text), { message: /^--x must be a size such as/ }, text)
  }
})

t.test('a bound is told in what was typed, rounded so that it can be typed', async t => {
  const MB5 = within(readSize, 5 * 2 ** 20, 5 * 2 ** 30)
  t.equal(MB5('--x', '5.25MB'), 5_250_000)
  for (const [text, message] of [
    ['5MB', 'at least 5MiB (5.25MB); received 5MB (5,000,000 bytes)'],
    ['5000 kB', 'at least 5MiB (5.25MB); received 5000 kB (5,000,000 bytes)'],
    ['1B', 'at least 5MiB; received 1B (1 byte)'],
    ['0', 'at least 5MiB; received 0'],
    ['5242879', 'at least 5MiB; received 5242879'],
    ['4m', 'at least 5MiB; received 4m (4,194,304 bytes)'],
    ['6GiB', 'at most 5GiB; received 6GiB (6,442,450,944 bytes)'],
    ['6GB', 'at most 5GiB (5.36GB); received 6GB (6,000,000,000 bytes)'],
    ['1TB', 'at most 5GiB (5.36GB); received 1TB (1,000,000,000,000 bytes)'],
  ] as const) {
    t.throws(
      () => MB5('--x', text),
      { name: 'UsageError', message: `--x must be ${message}` },
      text,
    )
  }
  t.throws(() => within(readSize, 1, 999)('--x', '1K'), {
    message: /at most 999 bytes; received 1K/,
  })
  t.strictSame([0, 1, 999, 1_024, 1_025, 3 * 2 ** 30].map(exactSize), [
    ...['0 bytes', '1 byte', '999 bytes', '1KiB', '1,025 bytes', '3GiB'],
  ])
})

t.test('whole numbers', async t => {
  const lanes = integerWithin(1, 1_000)
  t.equal(lanes('--x', '7'), 7)
  for (const text of ['many', '', '0', '1001', '1.5', '-1', '1e2', '0x10']) {
    const message = `--x must be an integer from 1 to 1000; received '${text}'`
    t.throws(() => lanes('--x', text), { name: 'UsageError', message }, text)
  }
})

t.test('what may have been meant by an option that there is none of', async t => {
  const names = [
    ...['asset', 'parent', 'name', 'filetype', 'part-size', 'memory', 'max-size', 'expect'],
    ...['concurrency', 'sandbox', 'wait', 'json', 'quiet', 'verbose', 'help', 'version'],
  ]
  for (const [typed, ...meant] of [
    ['partsize', 'part-size'],
    ['partSize', 'part-size'],
    ['PART_SIZE', 'part-size'],
    ['part-sise', 'part-size'],
    ['prat-size', 'part-size'],
    ['part', 'part-size'],
    ['par', 'parent', 'part-size'],
    ['p', 'parent', 'part-size'],
    ['assets', 'asset'],
    ['size', 'part-size', 'max-size'],
    ['type', 'filetype'],
    ['filename', 'name'],
    ['expected-size', 'expect'],
    ['quite', 'quiet'],
    ['jsno', 'json'],
    ['xx'],
    ['crf'],
    [''],
  ] as const) {
    t.strictSame(alike(typed, names), meant, typed)
  }
})

t.test('times', async t => {
  for (const [text, ms] of [
    ['0s', 0],
    ['250ms', 250],
    ['90s', 90_000],
    ['10m', 600_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    ['never', Number.POSITIVE_INFINITY],
  ] as const) {
    t.equal(readTime('--x', text), ms, text)
  }
  for (const text of ['10', '', 'm', '1w', 'ever', '1constructor']) {
    t.throws(() => readTime('--x', text), { message: /^--x must be a time such as/ }, text)
  }
})

t.test('what is expected: a size, or a time at a rate', async t => {
  for (const [text, size] of [
    ['250GiB', 250 * 2 ** 30],
    ['500 MB', 500_000_000],
    ['12h@50Mbit/s', 270_000_000_000],
    ['90s@1kbit/s', 11_250],
    ['1m@1Gbit/s', 7_500_000_000],
    ['1s@9bit/s', 1],
    ['1.5h @ 6 MB/s', 32_400_000_000],
    ['2d@1GB/s', 172_800_000_000_000],
    ['10m@1MiB/s', 600 * 2 ** 20],
    ['500ms@1KiB/s', 512],
    ['1s@1GiB/s', 2 ** 30],
    ['3s@7kB/s', 21_000],
    ['3s@7B/s', 21],
  ] as const) {
    t.equal(readExpect('--x', text), size, text)
  }
  for (const text of [
    ...['', '@', '12h', '12h@', '@50Mbit/s', '50Mbit/s', '12h@50', '12h@50M', '12h@50Mbit'],
    ...['1h@1Mb/s', '1h@1mB/s', '1h@1mbit/s', '1h@1Mbps', '1h@1constructor', '1h@1MB/s@1MB/s'],
    ...['never', 'never@1MB/s', '1GiB@1MB/s', '-1h@1MB/s', '1h@-1MB/s', '1h@1MB/m'],
  ]) {
    const message = /^--x must be a size such as 250GiB, or a time at a rate such as 12h@50Mbit\/s/
    t.throws(() => readExpect('--x', text), { name: 'UsageError', message }, text)
  }
})

t.test('one list has every flag: what is read, what the help shows, what messages say', async t => {
  for (const { name } of FLAGS) t.match(HELP, `--${name}`)
  t.strictSame(
    readFlags(['--part-size', '6MiB', '--expect', '1h@8bit/s', '--wait', '--sandbox', '--json']),
    { 'part-size': 6 * 2 ** 20, expect: 3_600, wait: true, sandbox: '', json: true },
  )
  t.strictSame(readFlags(['-h', '--memory', 'many']), { help: true }, 'help is had all the same')
  t.throws(() => readFlags(['--json', '--memory', 'many']), { message: /^--memory must be a size/ })
  t.equal(flagOf('stallTimeout'), undefined)
})

t.test('a message names the option that it is about as a flag, and nothing else', async t => {
  const say = (options: object) => {
    try {
      return resolveUploadOptions({ assetId: 'a', filetype: 'video/mp4', ...options })
    } catch (error) {
      return messageOf(error)
    }
  }
  t.match(say({ partSize: 1 }), /^--part-size must be an integer from 5242880/)
  t.match(say({ assetName: 'name' }), /^--name must be a name with an extension/)
  t.match(say({ concurrency: 0 }), /^--concurrency must be an integer/)
  t.match(say({ stallTimeout: 0 }), /^stallTimeout must be a positive number/)
  const tooMuch = new RealtimeUploadError('ERR_STREAM_TOO_LARGE', 'at most maxSize (4) bytes')
  t.equal(messageOf(tooMuch), 'at most --max-size (4) bytes')
  const more = 'at most maxSize (1073741824) bytes; received 1073742000 so far'
  t.equal(
    messageOf(new RealtimeUploadError('ERR_STREAM_TOO_LARGE', more)),
    'at most --max-size (1GiB); received 1,073,742,000 bytes so far',
  )
  t.equal(
    warningOf(partsOutgrowMemory(129 * 2 ** 20, 2 ** 28)),
    'Parts are now 129MiB, more than half of --memory (256MiB): up to 258MiB are held all the same, and PUTs hardly overlap any more',
  )
  t.equal(warningOf(notStreamable()), notStreamable().message)
  const words = 'ffmpeg said: partSize and baseUrl must be'
  t.equal(messageOf(new RealtimeUploadError('ERR_SOURCE_FAILED', words)), words)
  t.equal(messageOf(new Error('assetId')), 'assetId')
  t.equal(messageOf('assetId'), 'assetId')
})

t.test('what people are shown', async t => {
  t.strictSame([0, 2 ** 20 - 1, 2 ** 20, 1.5 * 2 ** 30, 2 ** 41].map(showSize), [
    '0.0 KiB',
    '1024.0 KiB',
    '1.0 MiB',
    '1.5 GiB',
    '2.0 TiB',
  ])
  t.strictSame([0, 119.4, 120, 7_199, 7_200, 36_000].map(showTime), [
    '0 s',
    '119 s',
    '2 min',
    '120 min',
    '2.0 h',
    '10.0 h',
  ])
})

t.test('rates are those of the last five seconds, and tell when the memory is full', async t => {
  let [bytesReceived, bytesUploaded] = [0, 0]
  const progress = () => ({
    ...{ bytesReceived, bytesUploaded, bytesBuffered: bytesReceived - bytesUploaded },
    ...{ partsFilled: 0, partsRegistered: 0, partsUploaded: 0, partsInFlight: 0, retries: 0 },
    ...{ bytesResent: 0, bytesSpooled: 0, bytesDurable: bytesUploaded },
  })
  const start = performance.now()
  const rates = new Rates(progress, ({ bytesBuffered }) => 1_000 - bytesBuffered)
  const pass = (seconds: number, received: number, uploaded: number) => {
    bytesReceived += received
    bytesUploaded += uploaded
    rates.take(start + seconds * 1_000)
  }
  pass(1, 100, 100)
  t.match(rates.state, { headroom: null })
  for (let second = 2; second <= 20; second++) pass(second, 40, 20)
  const { rateIn, rateOut, headroom } = rates.state
  t.strictSame([rateIn, rateOut].map(Math.round), [40, 20])
  // 380 bytes are buffered, and 20 more each second.
  t.equal(Math.round(headroom ?? 0), 31)
})

t.test('what failed comes with what to do, and what is underneath', async t => {
  for (const [code, advice] of [
    ['ERR_EMPTY_STREAM', /the source itself/],
    ['ERR_ASSET_NOT_FOUND', /--device/],
    ['ERR_STORAGE_REJECTED', /--filetype/],
    ['ERR_SERVER', /--give-up-after/],
    ['ERR_SOURCE_TRUNCATED', /upload the file anew/],
    ['ERR_SOURCE_CHANGED', /--until-pid/],
  ] as const) {
    t.match(adviceOn(new RealtimeUploadError(code, 'x', { assetId: 'a1' })), advice)
  }
  const cause = new Error('two', { cause: Object.assign(new Error('one'), { code: 'EONE' }) })
  t.strictSame(causesOf(new Error('three', { cause })), [
    'caused by Error: two',
    'caused by Error EONE: one',
  ])
})
