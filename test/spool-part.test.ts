/**
 * A part that lies on the disk and in memory, each to some extent.
 */
import { crc32 } from 'node:zlib'
import t from 'tap'
import { SpoolPart } from '../lib/spool/spool-part.ts'
import { BlockAccount, BlockPool } from '../lib/upload/blocks.ts'
import { LyingDisk } from './support/lying-disk.ts'
import { bytes } from './support/sandboxes.ts'

const PATH = '/spool/asset/00001.part'
const data = bytes(3_000)
const owner = {
  onPushed: () => {},
  onNoRoom: () => t.fail('there is room'),
  maySendFromMemory: () => true,
  onRest: () => {},
  onCut: () => {},
  onStored: () => {},
}

/** Of which so many bytes are written, those that are durable are in memory no more, and what is sent of it. */
const sent = async ({
  synced,
  written,
  file = data,
}: {
  synced: number
  written: number
  file?: Buffer
}) => {
  const disk = LyingDisk.of(new Map([[PATH, file.subarray(0, written)]]))
  const memory = new BlockAccount(new BlockPool(10_000, 512))
  const part = new SpoolPart({ n: 1, size: 3_000, path: PATH, disk, memory, owner })
  part.push(data, 0, data.length)
  Object.assign(part, { written, synced, crc: crc32(data.subarray(0, written)) })
  part.giveSpare()
  const { body } = part.cut({
    number: 1,
    size: 3_000,
    final: true,
    fileSize: 3_000,
    md5: undefined,
  })
  const chunks: Uint8Array[] = []
  const read = async () => {
    for await (const chunk of body()) chunks.push(Buffer.from(chunk))
  }
  const error = await read().catch(error => error)
  return { bytes: Buffer.concat(chunks), error }
}

t.test('what is on the disk is checked with what is still in memory of it', async t => {
  const states = [
    { synced: 512, written: 512 },
    { synced: 600, written: 1_300 },
    { synced: 1_024, written: 2_000 },
    { synced: 1_024, written: 3_000 },
    { synced: 3_000, written: 3_000 },
  ]
  for (const state of states) {
    const whole = await sent(state)
    t.equal(whole.error, undefined)
    t.ok(whole.bytes.equals(data), `${state.written} bytes written`)
    for (const at of [0, 300, 511]) {
      const file = Buffer.from(data)
      file.writeUInt8(file.readUInt8(at) ^ 1, at)
      const rotten = await sent({ ...state, file })
      t.match(rotten.error, { code: 'ERR_SPOOL_DAMAGED', path: PATH, offset: 0 })
      t.ok(rotten.bytes.length < state.written, 'S3 has not all of it')
    }
  }
  const file = Buffer.alloc(3_000)
  const memory = await sent({ synced: 511, written: 2_000, file })
  t.ok(memory.bytes.equals(data), 'what is in memory is not read')
})
