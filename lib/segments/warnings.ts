/**
 * What a cutter warns of, in full sentences.
 */

export interface CutWarning {
  /** Nothing can be cut, or a part of the stream could not be understood: the message says which. */
  readonly code: 'NOT_CUTTABLE'
  readonly message: string
}

export const notCuttable = (why: string): CutWarning => ({
  code: 'NOT_CUTTABLE',
  message: `The stream cannot be cut, and stays one file: ${why}. For ffmpeg: -f mpegts, or -f mp4 -movflags frag_keyframe+empty_moov+default_base_moof`,
})

/** @param elapsed media time of the present piece, in ms */
export const notCutFor = (elapsed: number): CutWarning => ({
  code: 'NOT_CUTTABLE',
  message: `The stream has no place to cut it for ${Math.round(elapsed / 1_000)} s: the present piece goes on to the next picture that stands for itself. For ffmpeg: a shorter -g, and -movflags frag_keyframe`,
})

/** @param offset in the source, in bytes */
export const notUnderstood = (what: string, offset: number, then: string): CutWarning => ({
  code: 'NOT_CUTTABLE',
  message: `At byte ${offset} the stream has ${what}: ${then}`,
})
