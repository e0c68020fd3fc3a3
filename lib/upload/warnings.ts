/**
 * What an upload warns of, in full sentences. Each is said once.
 */
import { shortageIn } from '../shortage.ts'
import type { KeptFile } from '../spool/home.ts'
import type { SpoolWarning } from '../spool/spool.ts'
import type { UploadWarning } from './events.ts'

export const notStreamable = (): UploadWarning => ({
  code: 'NOT_STREAMABLE',
  message:
    'The file has its index (moov) last: it plays once it is whole, and not at all if the recording is cut off. For ffmpeg: -movflags frag_keyframe+empty_moov+default_base_moof',
})

export const headNotMended = (reason: string): UploadWarning => ({
  code: 'HEAD_NOT_MENDED',
  message: `The head of the file is not mended, and goes up as it came: ${reason}`,
})

/** Ranges that are named one by one. */
const NAMED = 8

const SPOOL: Record<SpoolWarning, string> = {
  SPOOL_FULL: 'The disk of the spool is full',
  SPOOL_TOO_SLOW: 'The disk of the spool is slower than the source and the network',
  SPOOL_FAILED: 'The disk of the spool failed',
}

export const spoolWarning = (code: SpoolWarning, cause: Error | undefined): UploadWarning => {
  const until = code === 'SPOOL_FAILED' ? 'from now on' : 'until it takes more'
  const shortage = shortageIn(cause)
  const what = code === 'SPOOL_FULL' && shortage ? 'The spool can open no more files' : SPOOL[code]
  const why = cause ? ` (${[cause.message, shortage].filter(Boolean).join(': ')})` : ''
  return {
    code,
    message: `${what}${why}: what comes goes through memory alone ${until}, and would not outlive this process`,
  }
}

/** Of a take that was to stay. Frame.io has all of it. */
export const keptIncomplete = ({ path, missing }: KeptFile): UploadWarning => {
  const ranges = missing.map(({ from, to }) => `${from} to ${to}`)
  const named = ranges.slice(0, NAMED).join(', ')
  const more = ranges.length > NAMED ? ` and ${ranges.length - NAMED} more` : ''
  return {
    code: 'SPOOL_NOT_KEPT',
    message: `${path} lacks bytes ${named}${more}, which the disk did not take. Frame.io has all of it`,
  }
}

/** The same, where the disk failed at the end. */
export const notKept = (folder: string, { message }: Error): UploadWarning => ({
  code: 'SPOOL_NOT_KEPT',
  message: `What was to be kept in ${folder} could not be finished there: ${message}. Frame.io has all of it, and resumeUploads tries again`,
})

/** With a spool, in the middle of a recording. */
export const uploadFailed = (error: Error): UploadWarning => ({
  code: 'UPLOAD_FAILED',
  message: `${error.message}. The recording goes on into the spool, and can be uploaded from there`,
})

/** @param size of the parts that begin now, in bytes */
export const partsOutgrowMemory = (size: number, memoryLimit: number): UploadWarning => ({
  code: 'PARTS_OUTGROW_MEMORY',
  message: `Parts are now ${size} bytes, more than half of memoryLimit (${memoryLimit}): up to ${2 * size} bytes are held all the same, and PUTs hardly overlap any more`,
})
