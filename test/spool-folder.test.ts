/**
 * The folder of an upload, as others come and go beside it.
 */
import { access, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { lock } from '../lib/lock.ts'
import { realDisk } from '../lib/spool/disk.ts'
import { claimFolder, removeFolder } from '../lib/spool/folder.ts'

const failed = (code: string) => Object.assign(new Error(code), { code })

t.beforeEach(async t => {
  const dir = await mkdtemp(join(tmpdir(), 'folder-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  t.context.folder = join(dir, 'asset')
})

t.test(
  'where the name of an open file stays, as on Windows, the folder goes all the same',
  async t => {
    const { folder } = t.context
    await realDisk.makeFolder(folder)
    const held = await lock(join(folder, 'lock'))
    let isOpen = true
    const disk = {
      ...realDisk,
      removeFolder: async (path: string) => {
        if (isOpen) throw failed('EPERM')
        await realDisk.removeFolder(path)
      },
    }
    const release = async () => {
      await t.rejects(access(join(folder, 'lock')), 'the file goes first: nobody can take it')
      await held.release()
      isOpen = false
    }
    await removeFolder(disk, folder, { release })
    await t.rejects(access(folder))
  },
)

t.test('a take that begins as the folder goes keeps what is its own', async t => {
  const { folder } = t.context
  await realDisk.makeFolder(folder)
  const held = await lock(join(folder, 'lock'))
  const release = async () => {
    await writeFile(join(folder, 'lock'), 'of another process')
    await held.release()
  }
  await removeFolder(realDisk, folder, { release })
  t.strictSame(await readdir(folder), ['lock'])
})

t.test('a folder that goes before it is locked is made again', async t => {
  const { folder } = t.context
  let isFirst = true
  const locked = await claimFolder(realDisk, folder, async path => {
    if (isFirst) await rm(folder, { recursive: true })
    isFirst = false
    return lock(path)
  })
  t.strictSame(await readdir(folder), ['lock'])
  await locked.release()
  await locked.release()
})

t.test('to make the name of a file durable nothing has to be opened any more', async t => {
  const { folder } = t.context
  await realDisk.makeFolder(folder)
  const file = await realDisk.open(join(folder, '00001.part'))
  t.teardown(() => file.close())
  await file.write([Buffer.from('footage')], 0)
  // By its name nobody would find the folder now: as little as with too many files open.
  await rename(folder, `${folder}.elsewhere`)
  await file.sync()
  t.equal(await realDisk.size(join(`${folder}.elsewhere`, '00001.part')), 7)
})
