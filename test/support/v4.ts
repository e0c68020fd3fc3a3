/**
 * An account of V4's in a sandbox, a client of it, and files to upload.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { V4_WAITS_DOOR } from '../../lib/frameio/v4/dialect.ts'
import {
  type FileUploadEvent,
  FrameioV4Client,
  type FrameioV4ClientOptions,
  type Progress,
} from '../../lib/index.ts'
import type { Sandbox, SandboxAsset, SandboxOptions } from '../../lib/sandbox/index.ts'
import { folderFor, QUICK, sandboxFor } from './sandboxes.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** A sandbox that cuts small slices, and takes as many calls as a test likes. */
export const v4For = (t: Teardown, options: SandboxOptions = {}): Promise<Sandbox> => {
  const rateLimit = { limit: 1_000, window: 1_000 }
  return sandboxFor(t, { v4: { sliceSize: 1_000, rateLimit }, ...options })
}

/** A client with quick retries, closed with the test. */
export const v4ClientFor = (
  t: Teardown,
  { url: baseUrl, token, v4: { accountId } }: Sandbox,
  options: Partial<FrameioV4ClientOptions> = {},
): FrameioV4Client => {
  const waits = { [V4_WAITS_DOOR]: { afterServerError: 10, afterRateLimit: 1 } }
  const retry = { ...QUICK, giveUpAfter: 2_000 }
  const client = new FrameioV4Client({ accountId, token, baseUrl, retry, ...options, ...waits })
  t.teardown(() => client.close())
  return client
}

/** A file of random bytes, removed with the test. */
export const fileFor = async (t: Teardown, size: number, name = 'A001.mp4') => {
  const dir = await folderFor(t)
  const path = join(dir, name)
  const data = randomBytes(size)
  await writeFile(path, data)
  return { dir, path, data }
}

/** All that an upload of a file tells. */
export const listenTo = () => {
  const events: FileUploadEvent[] = []
  const progress: Progress[] = []
  return {
    events,
    progress,
    told: {
      onEvent: (event: FileUploadEvent) => void events.push(event),
      onProgress: (one: Progress) => void progress.push(one),
    },
    /** How often one of this kind was told, and of what. */
    of: <T extends FileUploadEvent['type']>(type: T) =>
      events.filter((event): event is Extract<FileUploadEvent, { type: T }> => event.type === type),
  }
}

/** The only file there is. */
export const onlyFile = ({ v4: { files } }: Sandbox): SandboxAsset => {
  const [file] = files
  if (!file || files.length > 1) throw new Error(`One file was expected, not ${files.length}`)
  return file
}

/** The numbers of parts whose PUTs S3 answered with its receipt, in order. */
export const putsOf = ({ requests }: Sandbox, fileId?: string): number[] =>
  requests
    .filter(({ operation, status }) => operation === 'put' && status === 200)
    .filter(({ assetId }) => fileId === undefined || assetId === fileId)
    .flatMap(({ partNumbers }) => partNumbers)
