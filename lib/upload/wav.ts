/**
 * The sizes at the head of a WAV: whoever writes into a pipe cannot know them, nor go back to them.
 *
 *     RIFF size WAVE │ JUNK or ds64 │ fmt │ fact, LIST, … │ data size ▒▒▒▒▒▒▒▒ to the end
 *          ▲            ▲                    ▲                   ▲
 *          bytes - 8    the same in 64 bits  samples             bytes behind it
 *
 * Writers leave all ones (ffmpeg), 0 (GStreamer), or as much as they can think of (sox, arecord). More
 * than 4 GiB need the `ds64` of RF64 and BW64 (EBU Tech 3306), or room for it: a first chunk `JUNK` of 28
 * bytes, as ffmpeg leaves with `-rf64 auto`. Without room the sizes are all ones: readers take that for
 * "to the end of the file", or refuse it.
 */
import { integer, invalid, refusal, take } from '../checks.ts'

/** In 32 bits: not known, or told in 64 bits elsewhere. */
const OPEN = 0xffffffff
/** Bytes of a chunk's name and size. */
const CHUNK = 8
/** Where the first chunk begins. */
const FIRST = 12
/** Bytes of a `ds64` without a table. */
const LARGE_SIZES = 28

/** Bytes that tell a WAV. */
export const WAV_MAGIC = 12

/** Do these bytes begin a WAV? */
export const isWav = (head: Buffer): boolean => {
  const [form, kind] = [nameAt(head, 0), nameAt(head, 8)]
  return ['RIFF', 'RF64', 'BW64'].includes(form) && kind === 'WAVE'
}

/**
 * Mends the sizes at the head of a WAV that was written into a pipe, so that players show how long it
 * is. For `lateHead`. A head whose size is that of the file stays as it is.
 *
 * What holds sound is taken to reach to the end of the file. Set are the sizes of RIFF and `data`, the
 * samples in `fact` where the sound is not compressed, and those of RF64 and BW64 in `ds64`. Beyond 4 GiB
 * a first chunk `JUNK` becomes `ds64` (`-rf64 auto` of ffmpeg leaves one); where there is neither the
 * sizes stay open, as all ones.
 *
 * @example
 * const upload = new RealtimeUpload({ assetId, filetype: 'audio/wav', token, lateHead: finishWav })
 *
 * @param head the first bytes of the file, up to the sound at least; changed in place
 * @param file how many bytes there are of the whole file
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION` where that is not the head of a WAV: it stays as it
 *   is then
 */
export const finishWav = (head: Buffer, file: { readonly bytes: number }): void => {
  if (!Buffer.isBuffer(head)) throw invalid('head', head, 'a Buffer')
  const bytes = take('bytes', file?.bytes, integer(head.length, Number.MAX_SAFE_INTEGER))
  if (!isWav(head)) {
    const received = head.toString('hex', 0, WAV_MAGIC) || 'nothing'
    throw refusal('head', received, 'the first bytes of a WAV (RIFF, RF64 or BW64, and WAVE)')
  }
  const chunks = chunksOf(head)
  const { fmt, fact, data } = chunks
  if (data === undefined) {
    const received = `${head.length} bytes`
    throw refusal('head', received, 'that of a WAV up to its sound (the chunk data)')
  }
  const rest = bytes - CHUNK
  if (sizeOf(head, chunks.ds64) === rest) return
  const sound = bytes - data - CHUNK
  const samples = fmt === undefined ? undefined : samplesIn(head, fmt, sound)
  const isLarge = nameAt(head, 0) !== 'RIFF' || rest > OPEN
  if (isLarge && chunks.ds64 === undefined && chunks.junk !== undefined) {
    head.write('RF64', 0, 'latin1')
    head.write('ds64', chunks.junk, 'latin1')
    head.fill(0, chunks.junk + CHUNK, chunks.junk + CHUNK + LARGE_SIZES)
  }
  const large = isLarge ? (chunks.ds64 ?? chunks.junk) : undefined
  head.writeUInt32LE(isLarge ? OPEN : rest, 4)
  head.writeUInt32LE(isLarge ? OPEN : sound, data + 4)
  if (large !== undefined) {
    const values = [rest, sound, samples ?? 0]
    for (const [at, value] of values.entries()) {
      head.writeBigUInt64LE(BigInt(value), large + CHUNK + 8 * at)
    }
  }
  if (fact !== undefined && samples !== undefined) {
    head.writeUInt32LE(isLarge ? OPEN : samples, fact + CHUNK)
  }
}

/** Where the chunks begin that matter here, in bytes. */
interface Chunks {
  fmt?: number
  fact?: number
  ds64?: number
  /** Room for a `ds64`. */
  junk?: number
  data?: number
}

const chunksOf = (head: Buffer): Chunks => {
  const found: Chunks = {}
  for (let at = FIRST; at + CHUNK <= head.length; ) {
    const name = nameAt(head, at)
    const size = head.readUInt32LE(at + 4)
    if (name === 'data') return { ...found, data: at }
    if (at + CHUNK + size > head.length) break
    const hasRoom = at === FIRST && size >= LARGE_SIZES
    if (name === 'fmt ' && size >= 16) found.fmt = at
    else if (name === 'fact' && size >= 4) found.fact = at
    else if (name === 'ds64' && hasRoom) found.ds64 = at
    else if (name === 'JUNK' && hasRoom) found.junk = at
    at += CHUNK + size + (size % 2) // Of an odd size a byte of padding follows.
  }
  return found
}

/** What the head says that follows its first eight bytes; undefined where it leaves that open. */
const sizeOf = (head: Buffer, ds64: number | undefined): number | undefined => {
  const size = head.readUInt32LE(4)
  if (size !== OPEN) return size
  return ds64 === undefined ? undefined : Number(head.readBigUInt64LE(ds64 + CHUNK))
}

/** Of each channel; undefined where the sound is compressed. */
const samplesIn = (head: Buffer, fmt: number, sound: number): number | undefined => {
  const channels = head.readUInt16LE(fmt + 10)
  const bytesOfAll = head.readUInt16LE(fmt + 20)
  const bits = head.readUInt16LE(fmt + 22)
  const isPlain = bytesOfAll > 0 && bytesOfAll === channels * Math.ceil(bits / 8)
  return isPlain ? Math.floor(sound / bytesOfAll) : undefined
}

const nameAt = (head: Buffer, at: number): string => head.toString('latin1', at, at + 4)
