/**
 * Why `stream-chunker` is an oracle in the tests, and not on the way of the bytes: how fast do it
 * and the splitter cut the same bytes into parts?
 *
 *   npx tsx bench/cutting.ts
 */
import { once } from 'node:events'
import { cpus } from 'node:os'
import { BlockAccount, BlockPool } from '../lib/upload/blocks.ts'
import { memoryHome } from '../lib/upload/home.ts'
import { Splitter } from '../lib/upload/splitter.ts'
import { streamChunker } from '../test/support/stream-chunker.ts'

const KiB = 2 ** 10
const MiB = 2 ** 20
const ROUNDS = 5

/** Both return how many bytes came out in parts. */
const byStreamChunker = async (total: number, partSize: number, chunk: Buffer) => {
  let out = 0
  const cutter = streamChunker(partSize, { flush: true })
  cutter.on('data', (part: Buffer) => {
    out += part.length
  })
  for (let at = 0; at < total; at += chunk.length) cutter.write(chunk)
  cutter.end()
  await once(cutter, 'end')
  return out
}

const pool = new BlockPool(1_024 * MiB, MiB)

const bySplitter = async (total: number, partSize: number, chunk: Buffer) => {
  let out = 0
  const splitter = new Splitter({
    plan: () => partSize,
    home: memoryHome(new BlockAccount(pool)),
    start: { parts: 0, bytes: 0 },
    onPart: part => {
      out += part.size
      part.release(true)
    },
    onSize: () => {},
    md5: false,
  })
  for (let at = 0; at < total; at += chunk.length) splitter.push(chunk, 0, chunk.length)
  splitter.end()
  return out
}

const rate = async (cut: typeof bySplitter, total: number, partSize: number, chunk: Buffer) => {
  const start = performance.now()
  const out = await cut(total, partSize, chunk)
  if (out !== total) throw new Error(`${out} of ${total} bytes came out`)
  return total / MiB / ((performance.now() - start) / 1_000)
}

console.log(
  `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}; medians of ${ROUNDS}, in turn`,
)
for (const [partSize, chunkSize, total] of [
  [16 * MiB, 64 * KiB, 64 * MiB],
  [5 * MiB, 4 * KiB, 20 * MiB],
] as const) {
  const chunk = Buffer.alloc(chunkSize, 7)
  const rates: { [name: string]: number[] } = { 'stream-chunker': [], 'the splitter': [] }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, cut] of [
      ['stream-chunker', byStreamChunker],
      ['the splitter', bySplitter],
    ] as const) {
      // The splitter gets more bytes, or it would be over before the clock has moved.
      const bytes = cut === bySplitter ? total * 20 : total
      const measured = await rate(cut, bytes, partSize, chunk)
      if (round > 0) rates[name]?.push(measured)
    }
  }
  for (const [name, measured] of Object.entries(rates)) {
    const [median = 0] = measured.toSorted((a, b) => a - b).slice(ROUNDS >> 1)
    console.log(
      `${partSize / MiB} MiB parts from ${chunkSize / KiB} KiB writes: ${name} ${median.toFixed(0)} MiB/s`,
    )
  }
}
