/**
 * What an upload warns of, in full sentences. Each is said once.
 */
import type { UploadWarning } from './events.ts'

export const notStreamable = (): UploadWarning => ({
  code: 'NOT_STREAMABLE',
  message:
    'The file has its index (moov) last: it plays once it is whole, and not at all if the recording is cut off. For ffmpeg: -movflags frag_keyframe+empty_moov+default_base_moof',
})

/** @param size of the parts that begin now, in bytes */
export const partsOutgrowMemory = (size: number, memoryLimit: number): UploadWarning => ({
  code: 'PARTS_OUTGROW_MEMORY',
  message: `Parts are now ${size} bytes, more than half of memoryLimit (${memoryLimit}): up to ${2 * size} bytes are held all the same, and PUTs hardly overlap any more`,
})
