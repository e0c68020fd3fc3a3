/**
 * What a cutter takes and gives.
 */
import type { PaceOptions } from './pace.ts'
import type { CutWarning } from './warnings.ts'

/** What comes out, in order. After a `cut` the bytes of the next piece follow, its head first. */
export type Piece = { readonly t: 'bytes'; readonly chunk: Uint8Array } | { readonly t: 'cut' }

export interface CutterOptions extends PaceOptions {
  /** Told once where nothing can be cut, or not all that came could be understood. */
  readonly onWarning: (warning: CutWarning) => void
}

/** What each kind of container has. What it gives must be used before the next chunk is pushed. */
export interface ContainerCutter {
  push(chunk: Uint8Array): Piece[]
  /** No more comes: what is still held. */
  end(): Piece[]
}

/** Bytes that are copied to be looked at, or held at one cut, at most. */
export const LONGEST_LOOK = 16 * 2 ** 20
