/**
 * The head of a WAV, mended as ffmpeg does it where it can go back.
 */
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decode, findFfmpeg } from '../examples/support/ffmpeg.ts'
import { finishWav } from '../lib/index.ts'

const ffmpeg = await findFfmpeg()

/** The same sound in a pipe and in a file. */
const record = async (t: Test, options: readonly string[]) => {
  const sound = ['-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'sine=d=0.5', ...options]
  const file = join(t.testdir(), 'A001.wav')
  execFileSync(ffmpeg, [...sound, file])
  const piped = execFileSync(ffmpeg, [...sound, '-f', 'wav', 'pipe:1'], { maxBuffer: 2 ** 30 })
  return { piped, inFile: await readFile(file), file }
}

/** Mends a recording as an upload does: of its head no more than a part is at hand. */
const finish = (wav: Buffer, { head = wav.length, bytes = wav.length } = {}): Buffer => {
  finishWav(wav.subarray(0, head), { bytes })
  return wav
}

for (const [name, ...options] of [
  ['PCM of 16 bits', '-c:a', 'pcm_s16le'],
  ['PCM of 24 bits, six channels', '-c:a', 'pcm_s24le', '-ac', '6'],
  ['A-law', '-c:a', 'pcm_alaw', '-fflags', '+bitexact'],
  ['with a bext chunk', '-c:a', 'pcm_s16le', '-write_bext', '1', '-metadata', 'description=x'],
  ['with room for RF64', '-c:a', 'pcm_s16le', '-rf64', 'auto'],
  ['RF64', '-c:a', 'pcm_s16le', '-rf64', 'always'],
] as const) {
  t.test(`${name}: what ffmpeg pipes becomes what it writes to a file`, async t => {
    const { piped, inFile } = await record(t, options)
    t.not(piped.equals(inFile), 'without it they differ')
    // Of all that is not PCM ffmpeg counts the samples as well, where it can: a chunk of 12 bytes.
    const expected = name === 'A-law' ? withoutFact(inFile) : inFile
    t.ok(finish(piped, { head: 1_000 }).equals(expected))
  })
}

/** A file without its chunk `fact`, which ffmpeg leaves out in a pipe. */
const withoutFact = (wav: Buffer): Buffer => {
  const at = wav.indexOf('fact')
  const rest = Buffer.concat([wav.subarray(0, at), wav.subarray(at + 12)])
  rest.writeUInt32LE(rest.length - 8, 4)
  return rest
}

t.test('it says how long it is', async t => {
  const { piped } = await record(t, ['-c:a', 'pcm_s16le'])
  t.ok(secondsToldBy(piped) > 48_000, 'hours, without it')
  t.equal(secondsToldBy(finish(piped)), 0.5)
  const file = join(t.testdir({ 'A001.wav': piped }), 'A001.wav')
  t.equal(await decode(file), '')
})

/** By its head, as most players take it: the bytes of the sound by those of a second. */
const secondsToldBy = (wav: Buffer): number =>
  wav.readUInt32LE(wav.indexOf('data') + 4) / wav.readUInt32LE(wav.indexOf('fmt ') + 16)

const HUGE = 5 * 2 ** 30

t.test('beyond 4 GiB the room for it becomes the ds64 of RF64', async t => {
  const { piped } = await record(t, ['-c:a', 'pcm_s16le', '-rf64', 'auto'])
  const data = piped.indexOf('data') + 8
  finish(piped, { bytes: HUGE })
  t.equal(piped.toString('latin1', 0, 16), 'RF64\xff\xff\xff\xffWAVEds64')
  t.strictSame(
    [16, 20, 28, 36].map(at =>
      at === 16 ? piped.readUInt32LE(at) : Number(piped.readBigUInt64LE(at)),
    ),
    [28, HUGE - 8, HUGE - data, (HUGE - data) / 2],
  )
  t.equal(piped.readUInt32LE(data - 4), 0xffffffff)
})

t.test('beyond 4 GiB without room the sizes stay open', async t => {
  const { piped } = await record(t, ['-c:a', 'pcm_s16le'])
  const before = Buffer.from(piped)
  t.ok(finish(piped, { bytes: HUGE }).equals(before))
})

t.test('the largest that 32 bits can tell is told in 32 bits', async t => {
  const { piped } = await record(t, ['-c:a', 'pcm_s16le', '-rf64', 'auto'])
  finish(piped, { bytes: 2 ** 32 + 7 })
  t.equal(piped.toString('latin1', 0, 16), 'RIFF\xff\xff\xff\xffWAVEJUNK')
  t.equal(piped.readUInt32LE(piped.indexOf('data') + 4), 2 ** 32 + 7 - piped.indexOf('data') - 8)
})

/** A WAV of these chunks. */
const wavOf = (form: string, size: number, ...chunks: readonly Buffer[]): Buffer => {
  const head = Buffer.from(`${form}....WAVE`, 'latin1')
  head.writeUInt32LE(size, 4)
  return Buffer.concat([head, ...chunks])
}

const chunk = (name: string, content: Buffer, size = content.length): Buffer => {
  const head = Buffer.from(`${name}....`, 'latin1')
  head.writeUInt32LE(size, 4)
  return Buffer.concat([head, content, Buffer.alloc(content.length % 2)])
}

/** Stereo, 16 bits. */
const FORMAT = Buffer.from('0100020080bb000000ee020004001000', 'hex')
const SOUND = Buffer.alloc(400, 1)

t.test('whatever a writer left there is mended', t => {
  for (const size of [0, 0xffffffff, 0x7ffff000, 0x80000000]) {
    const fact = chunk('fact', Buffer.alloc(4))
    const odd = chunk('LIST', Buffer.from('odd'))
    const data = chunk('data', SOUND, size)
    const wav = finish(wavOf('RIFF', size, chunk('fmt ', FORMAT), odd, fact, data))
    const whole = wavOf(
      'RIFF',
      wav.length - 8,
      chunk('fmt ', FORMAT),
      odd,
      chunk('fact', Buffer.from([100, 0, 0, 0])),
      chunk('data', SOUND),
    )
    t.ok(wav.equals(whole), `${size}`)
  }
  t.end()
})

t.test('a head that is right stays, also where something stands behind the sound', t => {
  const rest = [chunk('fmt ', FORMAT), chunk('data', SOUND), chunk('LIST', Buffer.from('tags'))]
  const wav = wavOf('RIFF', 12 - 8 + Buffer.concat(rest).length, ...rest)
  const before = Buffer.from(wav)
  t.ok(finish(wav).equals(before))

  const sizes = Buffer.alloc(28)
  const large = [chunk('ds64', sizes), ...rest]
  const rf64 = wavOf('RF64', 0xffffffff, ...large)
  rf64.writeBigUInt64LE(BigInt(rf64.length - 8), 20)
  const whole = Buffer.from(rf64)
  t.ok(finish(rf64).equals(whole))
  t.end()
})

t.test('samples of compressed sound are not guessed', t => {
  const adpcm = Buffer.from('02000100112b0000921a000000040400', 'hex')
  const fact = chunk('fact', Buffer.from('abcd'))
  const wav = finish(wavOf('RIFF', 0, chunk('fmt ', adpcm), fact, chunk('data', SOUND, 0)))
  t.equal(wav.toString('latin1', 44, 48), 'abcd')
  t.end()
})

t.test('what is no WAV, or not up to its sound, is refused and stays as it is', t => {
  const format = chunk('fmt ', FORMAT)
  for (const wav of [
    Buffer.alloc(0),
    Buffer.from('fLaC, and more than twelve bytes'),
    Buffer.from('RIFF....AVI LIST'),
    wavOf('RIFF', 0, format),
    wavOf('RIFF', 0, format, chunk('LIST', Buffer.alloc(100)).subarray(0, 50)),
    wavOf('RIFF', 0, chunk('LIST', Buffer.alloc(10), 0xffffffff), chunk('data', SOUND)),
  ]) {
    const before = Buffer.from(wav)
    const refused = { code: 'ERR_INVALID_OPTION', option: 'head' }
    t.throws(() => finish(wav, { bytes: 9_999 }), refused)
    t.ok(wav.equals(before))
  }
  const wrong = (head: unknown, file: unknown) => () => finishWav(head as Buffer, file as never)
  t.throws(wrong('RIFF', { bytes: 9 }), { code: 'ERR_INVALID_OPTION', option: 'head' })
  t.throws(wrong(SOUND, { bytes: 399 }), { code: 'ERR_INVALID_OPTION', option: 'bytes' })
  t.throws(wrong(SOUND, undefined), { code: 'ERR_INVALID_OPTION', option: 'bytes' })
  t.end()
})
