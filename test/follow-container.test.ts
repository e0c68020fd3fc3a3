/**
 * What a file is, and whether it says that it is finished. To call a finished one unfinished is the
 * worst mistake: the command ends with 3 then, and somebody looks for a fault that there is none.
 */
import t from 'tap'
import { type Completeness, containerOf, MAGIC } from '../lib/follow/container.ts'

const ascii = (text: string) => Buffer.from(text, 'latin1')
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const le32 = (value: number) => u32(value).reverse()
const u64 = (value: number) =>
  Buffer.concat([u32(Math.floor(value / 2 ** 32)), u32(value % 2 ** 32)])
const media = (size: number) => Buffer.alloc(size, 0xa5)
const zeros = (size: number) => Buffer.alloc(size)

const box = (kind: string, ...content: Buffer[]) => {
  const body = Buffer.concat(content)
  return Buffer.concat([u32(8 + body.length), ascii(kind), body])
}
const largeBox = (kind: string, told: number, body: Buffer) =>
  Buffer.concat([u32(1), ascii(kind), u64(told), body])
const openBox = (kind: string, told: number, body: Buffer) =>
  Buffer.concat([u32(told), ascii(kind), body])

const FTYP = box('ftyp', ascii('isom'), u32(512))
const MOOV = box('moov', media(300))
const FMT = Buffer.concat([ascii('fmt '), le32(16), media(16)])

/** A WAV with so many bytes of sound, whose head tells these sizes. */
const wav = (size: number, told = { riff: 36 + size, data: size }) =>
  Buffer.concat([
    ascii('RIFF'),
    le32(told.riff),
    ascii('WAVE'),
    FMT,
    ascii('data'),
    le32(told.data),
    media(size),
  ])
const rf64 = (size: number, told: number) => {
  const large = Buffer.concat([u64(told).reverse(), u64(size).reverse(), zeros(12)])
  const ds64 = Buffer.concat([ascii('ds64'), le32(28), large])
  const head = [ascii('RF64'), le32(0xffffffff), ascii('WAVE'), ds64, FMT]
  return Buffer.concat([...head, ascii('data'), le32(0xffffffff), media(size)])
}
const aiff = (size: number, told: number) =>
  Buffer.concat([
    ascii('FORM'),
    u32(told),
    ascii('AIFFCOMM'),
    u32(18),
    media(18),
    ascii('SSND'),
    u32(size),
    media(size),
  ])
const mkv = (told: Buffer, body: Buffer) =>
  Buffer.concat([
    Buffer.from('1a45dfa38442868101', 'hex'),
    Buffer.from('18538067', 'hex'),
    told,
    body,
  ])

type Row = [string, Buffer, Completeness]

const FINISHED: Row[] = [
  ['WAV', wav(1_000), 'finished'],
  ['WAV without its byte of padding', wav(1_001, { riff: 36 + 1_002, data: 1_001 }), 'finished'],
  ['WAV with tags behind it', Buffer.concat([wav(1_000), ascii('id3 '), media(90)]), 'unknown'],
  ['WAV in room that was left', Buffer.concat([wav(1_000), zeros(500)]), 'unknown'],
  ['WAV that is short, with tags', Buffer.concat([wav(2), ascii('LIST'), media(20)]), 'unknown'],
  ['RF64', rf64(1_000, 72 + 1_000), 'finished'],
  ['AIFF', aiff(1_000, 38 + 1_000), 'finished'],
  ['AIFF with tags behind it', Buffer.concat([aiff(1_000, 1_038), media(70)]), 'unknown'],
  [
    'MOV, index last',
    Buffer.concat([FTYP, box('wide'), box('mdat', media(900)), MOOV]),
    'finished',
  ],
  [
    'MOV, index first',
    Buffer.concat([FTYP, MOOV, box('free'), box('mdat', media(900))]),
    'finished',
  ],
  ['MOV, old, without ftyp', Buffer.concat([box('mdat', media(900)), MOOV]), 'finished'],
  ['MOV, large', Buffer.concat([FTYP, largeBox('mdat', 916, media(900)), MOOV]), 'finished'],
  ['MOV, media to its end', Buffer.concat([FTYP, MOOV, openBox('mdat', 0, media(900))]), 'unknown'],
  [
    'MOV with padding',
    Buffer.concat([FTYP, box('mdat', media(900)), MOOV, zeros(4_000)]),
    'unknown',
  ],
  [
    'MOV with the maker’s own bytes',
    Buffer.concat([FTYP, box('mdat', media(9)), MOOV, media(70)]),
    'unknown',
  ],
  ['MOV with an odd byte', Buffer.concat([FTYP, box('mdat', media(9)), MOOV, zeros(4)]), 'unknown'],
  [
    'MP4 in fragments',
    Buffer.concat([FTYP, MOOV, box('moof', media(50)), box('mdat', media(90))]),
    'unknown',
  ],
  [
    'fragments without their start',
    Buffer.concat([FTYP, box('moof', media(50)), box('mdat', media(90))]),
    'unknown',
  ],
  [
    'MP4, hybrid: one mdat over all its fragments',
    Buffer.concat([FTYP, box('mdat', MOOV, box('moof', media(50))), MOOV]),
    'finished',
  ],
  ['HEIC', Buffer.concat([FTYP, box('meta', media(60)), box('mdat', media(900))]), 'unknown'],
  [
    'HEIC, its index last',
    Buffer.concat([FTYP, box('mdat', media(900)), box('meta', media(60))]),
    'unknown',
  ],
  ['MKV', mkv(Buffer.concat([Buffer.from([1]), u64(900).subarray(1)]), media(900)), 'finished'],
  ['MKV, live', mkv(Buffer.from('01ffffffffffffff', 'hex'), media(900)), 'unknown'],
  ['MKV, size in one byte', mkv(Buffer.from([0x80 + 90]), media(90)), 'finished'],
]

const UNFINISHED: Row[] = [
  ['WAV as ffmpeg begins it', wav(1_000, { riff: 0xffffffff, data: 0xffffffff }), 'unfinished'],
  ['WAV with 0', wav(1_000, { riff: 0, data: 0 }), 'unfinished'],
  ['WAV as libsndfile begins it', wav(1_000, { riff: 36, data: 0 }), 'unfinished'],
  ['WAV as arecord begins it', wav(1_000, { riff: 0x7fffff24, data: 0x7fffff00 }), 'unfinished'],
  ['WAV that is cut', wav(1_000).subarray(0, 800), 'unfinished'],
  ['RF64 as ffmpeg begins it', rf64(1_000, 0), 'unfinished'],
  ['AIFF as ffmpeg begins it', aiff(1_000, 0), 'unfinished'],
  [
    'MOV that grows',
    Buffer.concat([FTYP, box('wide'), openBox('mdat', 0, media(900))]),
    'unfinished',
  ],
  ['MOV, large, that grows', Buffer.concat([FTYP, largeBox('mdat', 0, media(900))]), 'unfinished'],
  [
    'MOV with a size beyond its end',
    Buffer.concat([FTYP, openBox('mdat', 2 ** 31, media(900))]),
    'unfinished',
  ],
  ['MOV without its index', Buffer.concat([FTYP, box('mdat', media(900))]), 'unfinished'],
  [
    'MOV without its index, preallocated',
    Buffer.concat([FTYP, box('mdat', media(900)), zeros(4_000)]),
    'unfinished',
  ],
  [
    'MOV that was killed in its index',
    Buffer.concat([FTYP, box('mdat', media(900)), MOOV.subarray(0, 90)]),
    'unfinished',
  ],
]

const UNKNOWN: Row[] = [
  ['WAV that notes now and then how far it is', wav(1_000, { riff: 636, data: 600 }), 'unknown'],
  ['WAV of 20 bytes', wav(0).subarray(0, 20), 'unknown'],
  ['MOV of which nothing but the start is there', FTYP, 'unknown'],
  ['MOV amid the head of a box', Buffer.concat([FTYP, u32(900)]), 'unknown'],
]

for (const [title, rows] of Object.entries({ FINISHED, UNFINISHED, UNKNOWN })) {
  t.test(`what heads say: ${title.toLowerCase()}`, async t => {
    for (const [name, file, expected] of rows) {
      const read = async (at: number, length: number) => file.subarray(at, at + length)
      const container = containerOf(file.subarray(0, MAGIC))
      t.equal(await container?.completeness(read, file.length), expected, name)
    }
  })
}

t.test('RIFF beyond 4 GiB tells nothing: its size has no room', async t => {
  const head = wav(500, { riff: 700, data: 600 })
  const read = async (at: number, length: number) => head.subarray(at, at + length)
  t.equal(await containerOf(head)?.completeness(read, 2 ** 32 + 744), 'unknown')
})

t.test('what changes its head alone is told by its first bytes', async t => {
  const packets = (size: number, at: number) => {
    const stream = media(MAGIC)
    for (let packet = at; packet < MAGIC; packet += size) stream[packet] = 0x47
    return stream
  }
  const rows: [string, Buffer, boolean | undefined][] = [
    ['WAV', wav(9), true],
    ['RF64', rf64(9, 81), true],
    ['BW64', Buffer.concat([ascii('BW64'), rf64(9, 81).subarray(4)]), true],
    ['AIFF', aiff(9, 55), true],
    ['AIFC', Buffer.from(aiff(9, 55)).fill('AIFC', 8, 12, 'latin1'), true],
    ['W64', Buffer.from('726966662e91cf11a5d628db04c10000', 'hex'), true],
    ['CAF', ascii('caff\0\x01'), true],
    ['AU', ascii('.snd'), true],
    ['FLAC', ascii('fLaC\0'), true],
    ['MP3 with tags', ascii('ID3\x04'), true],
    ['MP3', Buffer.from('fffb9064', 'hex'), true],
    ['AAC', Buffer.from('fff14c40', 'hex'), true],
    ['ones alone are no sound', Buffer.alloc(64, 0xff), undefined],
    ['nor is text of Windows', Buffer.from('fffe3c00', 'hex'), undefined],
    ['FLV', ascii('FLV\x01'), true],
    ['ASF', Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'), true],
    ['Ogg', ascii('OggS\0'), true],
    ['NUT', ascii('nut/multimedia container\0'), true],
    ['MPEG-PS', Buffer.from('000001ba21', 'hex'), true],
    ['MPEG-TS', packets(188, 0), true],
    ['MPEG-TS of a camera', packets(192, 4), true],
    ['MOV', box('wide'), true],
    ['MP4', FTYP, true],
    ['MKV', mkv(Buffer.from('81', 'hex'), media(1)), false],
    ['AVI', Buffer.concat([ascii('RIFF'), le32(0), ascii('AVI LIST')]), undefined],
    ['MXF', Buffer.from('060e2b34020501010d010201', 'hex'), undefined],
    ['zeros', zeros(MAGIC), undefined],
    ['nothing', zeros(0), undefined],
  ]
  for (const [name, head, expected] of rows) t.equal(containerOf(head)?.isHeadOnly, expected, name)
})
