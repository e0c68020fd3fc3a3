/**
 * A file as a source, finished or growing: its parts are ranges of it, and no byte is written to the
 * upload.
 */
import { invalid } from '../checks.ts'
import { Follower } from '../follow/follower.ts'
import { GrownFile } from '../follow/grown-file.ts'
import { absolute, type FileSource, resolveFollow } from '../follow/options.ts'
import { type Inside, insides } from '../upload/inside.ts'
import type { RealtimeUpload } from '../upload/realtime-upload.ts'
import { endOfStream, type SourceEnd } from './source-end.ts'

/** Its writer mends its head: a function would be called for nothing, or undo that. */
const refuseMending = (lateHead: unknown): void => {
  if (typeof lateHead !== 'function') return
  const text =
    'left out, or true, where the source is a file: its head goes last anyway, as it stands'
  throw invalid('lateHead', lateHead, text)
}

export interface FileFlow {
  /** Resolves when it is over. @throws {RealtimeUploadError} where it cannot be read */
  readonly ended: Promise<undefined>
  readonly end: () => Promise<SourceEnd>
  readonly cancel: () => void
}

export const openFile = (source: FileSource, upload: RealtimeUpload): FileFlow => {
  if (upload.progress.bytesReceived > 0) {
    throw invalid('upload', upload, 'one to which nothing was written, for a file')
  }
  const follow = resolveFollow('source.follow', source.follow)
  const inside = insides.get(upload) as Inside
  refuseMending(inside.options.lateHead)
  const cancelling = new AbortController()
  let follower: Follower | undefined
  const run = async () => {
    const { signal } = cancelling
    const file = await GrownFile.open(absolute(source.file), follow, signal)
    follower = new Follower(file, inside, follow)
    if (signal.aborted) await follower.close() // The upload was over before it heard of this.
    return follower.run()
  }
  const running = run()
  return {
    ended: running.then(
      () => undefined,
      // An upload that is over says itself why, and what it closed cannot be read any more.
      error => (follower?.isClosed ? new Promise(() => {}) : Promise.reject(error)),
    ),
    end: async () => {
      const { reason, isUnfinished } = await running
      const unfinished = new Error('the head of the file says that it is not finished')
      return { ...endOfStream(isUnfinished ? unfinished : undefined), reason }
    },
    cancel: () => {
      cancelling.abort()
      void follower?.close()
    },
  }
}
