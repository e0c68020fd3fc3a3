/**
 * Where the command uploads to: an asset of an account (account.ts), or of a sandbox that it starts
 * (local.ts).
 */
import type { FrameioClient } from '../frameio/client.ts'

export interface Target {
  readonly client: FrameioClient
  readonly assetId: string
  /** Waits until Frame.io has put the file together. The file, where it is a sandbox's. */
  whenUploaded(signal: AbortSignal): Promise<string | undefined>
  /** What is there of a take that failed, in a sentence. @param isSent was every byte sent? */
  left(isSent: boolean): string | undefined
  /**
   * Takes back the asset, of which nothing may have been registered. Absent where it was there before.
   *
   * @param leaving aborts when nobody waits for that any more
   */
  discard?(leaving?: AbortSignal): Promise<Discarded>
  close(): Promise<void>
}

/** What became of an asset that nobody has a use for. */
export interface Discarded {
  readonly isDeleted: boolean
  /** In a sentence. */
  readonly text: string
}
