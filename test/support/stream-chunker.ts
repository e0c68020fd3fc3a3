/**
 * The npm package `stream-chunker`, which has no types: an independent opinion on where to cut.
 */
import { createRequire } from 'node:module'
import type { Transform } from 'node:stream'

type StreamChunker = (chunkSize: number, options: { readonly flush: boolean }) => Transform

export const streamChunker: StreamChunker = createRequire(import.meta.url)('stream-chunker')

/** The cuts that stream-chunker makes of these chunks. */
export const chunkerCuts = (chunks: readonly Buffer[], size: number): Promise<Buffer[]> =>
  new Promise((resolve, reject) => {
    const cuts: Buffer[] = []
    const chunker = streamChunker(size, { flush: true })
    chunker.on('data', (cut: Buffer) => cuts.push(cut))
    chunker.on('end', () => resolve(cuts))
    chunker.on('error', reject)
    for (const chunk of chunks) chunker.write(chunk)
    chunker.end()
  })
