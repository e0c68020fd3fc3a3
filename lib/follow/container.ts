/**
 * What a file is, told by its first bytes and never by its name: whether whoever writes it changes
 * its head alone once more of it is written, and whether its head says that all of it is.
 *
 * Measured with strace, of ffmpeg, OBS, GStreamer, mkvmerge, flac and sox, what is changed later:
 *
 *   WAV, RF64, W64, AIFF, CAF, AU         up to 138 bytes in the head
 *   FLAC, MP3                             1 kB in the head (flac(1): 13 kB)
 *   MOV, MP4                              48 bytes in the head; 500 kB where room for the index is left
 *   FLV, ASF                              6 kB in the head
 *   Ogg, MPEG-TS, MPEG-PS, NUT            nothing
 *   MKV, WebM, MXF, AVI                   the head, and a few bytes in each cluster, partition or GiB
 */

/** Bytes that tell what a file is. */
export const MAGIC = 512

/**
 * Does a file's head say that all of it is there? `'unknown'` where it says nothing of the kind, or
 * writers exist that never finish it.
 */
export type Completeness = 'finished' | 'unfinished' | 'unknown'

export interface Container {
  /** Of what is written already, does its head alone change? */
  readonly isHeadOnly: boolean
  /** @param read gives bytes of the file, fewer at its end */
  readonly completeness: (read: Read, size: number) => Promise<Completeness>
}

export type Read = (at: number, length: number) => Promise<Buffer>

const unknown = async (): Promise<Completeness> => 'unknown'

/** What a file is, by its first bytes; undefined where that is not known. */
export const containerOf = (head: Buffer): Container | undefined =>
  CONTAINERS.find(({ is }) => is(head))

const startsWith =
  (text: string, at = 0) =>
  (head: Buffer): boolean =>
    head.toString('latin1', at, at + text.length) === text

const GUID = {
  w64: Buffer.from('726966662e91cf11a5d628db04c10000', 'hex').toString('latin1'),
  asf: Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex').toString('latin1'),
}

/** Of RIFF: the size of the rest, which writers leave open as 0, as all ones, or as that of the head. */
const riff = async (read: Read, size: number): Promise<Completeness> => {
  const head = await read(0, 36)
  if (head.length < 36) return 'unknown'
  const isLarge = head.readUInt32LE(4) === 0xffffffff
  // RF64: its true size stands in the chunk that follows. RIFF with all ones was never finished.
  const hasLargeSize = isLarge && head.toString('latin1', 12, 16) === 'ds64'
  if (!hasLargeSize && size > LARGEST) return 'unknown'
  const told = 8 + (hasLargeSize ? Number(head.readBigUInt64LE(20)) : head.readUInt32LE(4))
  if (told < size && (await read(told - 8, 8)).equals(NO_SOUND)) return 'unfinished'
  return judge(told, size)
}

/** Where a head ends that was written before the first sound. */
const NO_SOUND = Buffer.from('data\0\0\0\0')

/** Bytes of a file whose size 32 bits can tell. */
const LARGEST = 2 ** 32

/** AIFF: the same with the highest byte first. */
const form = async (read: Read, size: number): Promise<Completeness> => {
  const head = await read(0, 8)
  if (head.length < 8 || size > LARGEST) return 'unknown'
  return judge(8 + head.readUInt32BE(4), size)
}

/**
 * By the size that a head tells. What is behind a smaller one may be tags, or its writer notes only now
 * and then how far it is: that tells nothing.
 */
const judge = (told: number, size: number): Completeness => {
  // Some count a byte of padding, and some do not.
  if (Math.abs(told - size) <= 1) return 'finished'
  return told > size || told === 8 ? 'unfinished' : 'unknown'
}

/** Boxes of an MP4 or MOV that are looked at: one in fragments has very many. */
const BOXES = 64

/**
 * Whole where its index is there and its boxes fill it; open where media come without an index, or it
 * is cut. Pictures (HEIC, AVIF) have another index in place of a `moov`.
 */
const boxes = async (read: Read, size: number): Promise<Completeness> => {
  let hasIndex = false
  let hasMedia = false
  for (let at = 0, count = 0; count < BOXES; count++) {
    if (at === size && hasIndex && hasMedia) return 'finished'
    const head = await read(at, 16)
    if (head.length < 8) return hasMedia && !hasIndex ? 'unfinished' : 'unknown'
    const kind = head.toString('latin1', 4, 8)
    // In fragments nothing tells that no more come.
    if (kind === 'moof' || kind === 'meta') return 'unknown'
    if (kind === 'moov') hasIndex = true
    if (kind === 'mdat') hasMedia = true
    const short = head.readUInt32BE(0)
    const isLarge = short === 1 && head.length === 16
    const length = isLarge ? Number(head.readBigUInt64BE(8)) : short
    // 0: to the end of the file, as writers put it until they know better.
    const isOpen = length < 8 || at + length > size
    if (isOpen) return hasIndex && (kind !== 'moov' || length < 8) ? 'unknown' : 'unfinished'
    at += length
  }
  return 'unknown'
}

/** Matroska: the size of its segment is all ones until it is known; live ones leave it so. */
const segment = async (read: Read, size: number): Promise<Completeness> => {
  const head = await read(0, MAGIC)
  const at = head.indexOf(Buffer.from('18538067', 'hex'))
  const first = at < 0 ? undefined : head[at + 4]
  if (first === undefined || first === 0) return 'unknown'
  const length = Math.clz32(first) - 23
  if (at + 4 + length > head.length) return 'unknown'
  const told = [...head.subarray(at + 4, at + 4 + length)].reduce(
    (sum, byte, index) => sum * 256 + (index === 0 ? byte & (2 ** (8 - length) - 1) : byte),
    0,
  )
  return at + 4 + length + told === size ? 'finished' : 'unknown'
}

/** MPEG's sync word: of AAC, or of a layer with neither a bit rate nor a sampling rate that there is not. */
const isAudioFrame = ([first, second = 0, third = 0]: Buffer): boolean => {
  if (first !== 0xff || (second & 0xe0) !== 0xe0) return false
  if ((second & 0xf6) === 0xf0) return true
  return (second & 0x06) !== 0 && third >> 4 !== 0xf && (third & 0x0c) !== 0x0c
}

const any =
  (...tests: readonly ((head: Buffer) => boolean)[]) =>
  (head: Buffer): boolean =>
    tests.some(test => test(head))

const CONTAINERS: readonly (Container & { readonly is: (head: Buffer) => boolean })[] = [
  {
    is: head =>
      any(startsWith('RIFF'), startsWith('RF64'), startsWith('BW64'))(head) &&
      startsWith('WAVE', 8)(head),
    isHeadOnly: true,
    completeness: riff,
  },
  {
    is: head => startsWith('FORM')(head) && startsWith('AIF', 8)(head),
    isHeadOnly: true,
    completeness: form,
  },
  {
    is: any(...['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip'].map(kind => startsWith(kind, 4))),
    isHeadOnly: true,
    completeness: boxes,
  },
  {
    is: any(
      ...[
        'caff',
        '.snd',
        'fLaC',
        'ID3',
        'FLV',
        'OggS',
        GUID.w64,
        GUID.asf,
        'nut/multimedia container',
      ].map(text => startsWith(text)),
      // MPEG-PS, audio frames of MPEG, and MPEG-TS in packets of 188 bytes, or of 192 as cameras write it.
      head => head.length > 3 && head.readUInt32BE(0) === 0x1ba,
      isAudioFrame,
      head => [0, 188, 376].every(at => head[at] === 0x47),
      head => [4, 196, 388].every(at => head[at] === 0x47),
    ),
    isHeadOnly: true,
    completeness: unknown,
  },
  { is: startsWith('\x1a\x45\xdf\xa3'), isHeadOnly: false, completeness: segment },
]
