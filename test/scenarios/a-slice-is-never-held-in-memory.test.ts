/**
 * A slice of V4's may have 2 GB: what a process holds of it does not grow with it.
 */
import { spawn } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { BLOCK, slicePart } from '../../lib/v4/slice-part.ts'
import { WholeFile } from '../../lib/v4/whole-file.ts'
import { FILE_UPLOADER } from '../support/file-uploader.ts'
import { folderFor } from '../support/sandboxes.ts'
import { fileFor, onlyFile, v4For } from '../support/v4.ts'

const MiB = 2 ** 20
const SIZE = 300 * MiB

/** A file that takes no room on the disk. */
const sparseFile = async (dir: string) => {
  const path = join(dir, 'sparse.mov')
  await writeFile(path, '')
  await truncate(path, SIZE)
  return path
}

t.test('a process that sends a slice of 300 MiB grows by less than a third of it', async t => {
  const sandbox = await v4For(t, { storage: 'discard', v4: { sliceSize: SIZE } })
  const path = await sparseFile(await folderFor(t))
  const { url, token, v4 } = sandbox
  const job = [url, token, v4.accountId, v4.folderId, path]
  const child = spawn(process.execPath, ['--import', 'tsx', FILE_UPLOADER, ...job], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = await text(child.stdout)
  const [, grown = ''] = /^grown (\d+)$/m.exec(said) ?? []
  t.equal(onlyFile(sandbox).storedBytes, SIZE)
  t.equal(onlyFile(sandbox).parts.length, 1)
  t.ok(Number(grown) < SIZE / 3, `it grew by ${Math.round(Number(grown) / MiB)} MiB`)
})

t.test(
  'two blocks are enough for a slice, and each stays as it is until the next is asked for',
  async t => {
    const { path, data } = await fileFor(t, 6 * BLOCK + 12_345)
    const { signal } = new AbortController()
    const file = await WholeFile.open(path, signal)
    t.teardown(() => file.close())
    const [start, size] = [7, 6 * BLOCK + 5]
    const slice = { number: 1, start, size, file, isMd5Wanted: false, signal }
    const blocksOf = async (isReused: boolean) => {
      const memory = new Set<ArrayBufferLike>()
      let at = start
      for await (const block of slicePart({ ...slice, isReused }).body()) {
        await new Promise(resolve => setTimeout(resolve, 20)) // While it is sent the next is read.
        t.ok(data.subarray(at, at + block.length).equals(block), `from byte ${at}`)
        memory.add(block.buffer)
        at += block.length
      }
      t.equal(at, start + size)
      return memory.size
    }
    t.equal(await blocksOf(true), 2)
    t.equal(await blocksOf(false), 7, 'of a dispatcher that is not ours nobody knows what it keeps')
  },
)
