/**
 * A file as a source for V4: it is the recording itself, so nothing is copied. One that still grows is uploaded
 * once it is over. What is told here is awaited: a callback may be asynchronous, and its failure is the call's.
 */
import { AbortError } from '../errors.ts'
import { GrownFile } from '../follow/grown-file.ts'
import { absolute, type FileSource, resolveFollow } from '../follow/options.ts'
import { Watch } from '../follow/watch.ts'
import { sleep } from '../net/retry.ts'
import { endOfStream, type SourceEnd } from '../sources/source-end.ts'
import type { UploadedFile } from './events.ts'
import { FileUpload } from './file-upload.ts'
import { folderFor, Record } from './record.ts'
import type { ResolvedTakeOptions } from './take-options.ts'

/** Between two looks whether it is over, in ms. */
const LOOK_EVERY = 250

/** Resolves once nobody writes to it any more. @throws {RealtimeUploadError} `ERR_SOURCE_FAILED` */
export const whenOver = async (
  source: FileSource,
  { settings, onEvent }: ResolvedTakeOptions,
): Promise<SourceEnd> => {
  const follow = resolveFollow('source.follow', source.follow)
  if (!follow) return endOfStream(undefined)
  const { signal = new AbortController().signal } = settings
  try {
    signal.throwIfAborted()
    const file = await GrownFile.open(absolute(source.file), follow, signal)
    try {
      const watch = await Watch.of(file, follow, undefined)
      for (;;) {
        const seen = await watch.look()
        if (seen?.reason === undefined) {
          await sleep(LOOK_EVERY, signal)
          continue
        }
        const { isUnfinished, reason } = seen
        if (!isUnfinished) return { ...endOfStream(undefined), reason }
        const message = `The head of ${source.file} says that it is not finished: it may not play to its end`
        await onEvent({ type: 'warning', name: undefined, code: 'SOURCE_UNFINISHED', message })
        const error = new Error('the head of the file says that it is not finished')
        return { ...endOfStream(error), reason }
      }
    } finally {
      await file.close()
    }
  } catch (error) {
    throw signal.aborted && error === signal.reason ? new AbortError(signal.reason) : error
  }
}

/** With a record of its own in the spool, so that `resumeV4` goes on with it. */
export const uploadSource = async (
  source: FileSource,
  { client, opening, dir, settings, onEvent }: ResolvedTakeOptions,
): Promise<UploadedFile> => {
  const { folderId, name, origin, accountId } = opening
  const target = { folderId, path: absolute(source.file), name }
  const file = await new FileUpload({
    client,
    target,
    settings: { ...settings, onEvent: event => onEvent({ ...event, name }) },
    openRecord: () => Record.open(folderFor(dir, { origin, accountId, ...target })),
    takesOther: true,
  }).run()
  await onEvent({ type: 'file', number: 1, ...file })
  return file
}
