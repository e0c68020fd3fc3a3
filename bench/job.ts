/**
 * What a contestant is given, and what it tells.
 */
import type { Readable } from 'node:stream'

export interface Job {
  /** Of the sink. */
  readonly url: string
  /** Bytes to upload. */
  readonly bytes: number
  /** Bytes of each chunk of the source. */
  readonly chunkSize: number
  /** Bytes of each part; absent: the default of the library. */
  readonly partSize?: number
  /** Bytes of memory for parts; absent: the default of the library. */
  readonly memoryLimit?: number
  /** A folder to keep parts in until they are stored; absent: none. */
  readonly spoolDir?: string
  /** Bytes a second that the source gives; absent: it is always ready. */
  readonly rate?: number
  /** No connection lives between these seconds; absent: all do. */
  readonly outage?: readonly [from: number, to: number]
  /** The source is the stdout of another program. */
  readonly child?: boolean
  /** A finished file that is uploaded, in place of a source. */
  readonly file?: string
  /** Uploads at once, each of so many bytes; absent: one. */
  readonly uploads?: number
}

/** Brings the bytes of the source to the sink. May know some figures better than who watches it. */
export type Contestant = (
  job: Job,
  source: () => Readable,
) => Promise<void> | Promise<Partial<Figures>>

/** PUTs in flight at once: the default of the library, and so that of all. */
export const LANES = 4

/** What a run took. */
export interface Figures {
  /** From the first byte to the end. */
  readonly seconds: number
  /** User and system, of this process alone. */
  readonly cpuSeconds: number
  /** Highest resident memory, in MiB. */
  readonly rss: number
  /** Of the engine (V8), at the end, in MiB. NaN where it is another's program. */
  readonly heap: number
  /** When the first byte was asked for, in ms since the epoch. */
  readonly start: number
  /** Seconds from the end of a source with a rate to the end of the upload. */
  readonly lag: number
  /** Seconds until it was known what lies in a spool. */
  readonly known?: number
  /** Seconds that a source with a rate was behind its clock at worst. */
  readonly behind?: number
  /** Bytes that lay in a spool at most. */
  readonly waiting?: number
}

/** A program that writes so many bytes to its stdout, 32 KiB at a time, as ffmpeg does. */
export const programOf = (bytes: number): string[] => [
  'dd',
  'if=/dev/zero',
  'bs=32k',
  `count=${bytes / 2 ** 15}`,
  'status=none',
]
