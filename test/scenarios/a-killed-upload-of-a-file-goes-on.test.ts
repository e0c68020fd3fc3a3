/**
 * kill -9 at random moments of a process that uploads a finished file: the next one goes on, what was said to
 * be stored is not sent again, and in the end there is one file.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import t from 'tap'
import type { Sandbox } from '../../lib/sandbox/index.ts'
import { FILE_UPLOADER } from '../support/file-uploader.ts'
import { randomOf } from '../support/power-cuts.ts'
import { folderFor, sha256 } from '../support/sandboxes.ts'
import { fileFor, onlyFile, putsOf, v4For } from '../support/v4.ts'

/** `SEED=… npx tap run` this file: the same moments. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)
const FILES = 2
/** Lives of a process that are cut short, for each file. */
const KILLS = 3
const PARTS = 40

// Only a guard against hanging.
t.setTimeout(240_000)

const start = (sandbox: Sandbox, path: string, dir: string) => {
  const { url, token, v4 } = sandbox
  const job = [url, token, v4.accountId, v4.folderId, path, dir]
  const child = spawn(process.execPath, ['--import', 'tsx', FILE_UPLOADER, ...job], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  return { child, lines }
}

const ended = async (child: ChildProcess) => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

t.test('what was stored is not sent again, and there is one file', async t => {
  t.comment(`SEED=${SEED}`)
  const random = randomOf(SEED)
  let kills = 0
  for (let at = 0; at < FILES; at++) {
    const sandbox = await v4For(t, { latency: { api: 20, storage: 10 } })
    const { path, data } = await fileFor(t, PARTS * 1_000 - 7)
    const dir = await folderFor(t)
    /** Parts that were said to be stored, with how often they had been sent by then. */
    const told = new Map<number, number>()
    const timesSent = (part: number) => putsOf(sandbox).filter(number => number === part).length
    for (let life = 0; life < KILLS; life++) {
      const { child, lines } = start(sandbox, path, dir)
      // By the number of requests that came; once while the file is created.
      const isFirst = at === 0 && life === 0
      const end = sandbox.requests.length + 1 + (isFirst ? 0 : Math.floor(random() * 20))
      lines.on('line', line => {
        const [, part] = /^part (\d+)$/.exec(line) ?? []
        if (part) told.set(Number(part), timesSent(Number(part)))
      })
      const over = once(lines, 'close')
      while (sandbox.requests.length < end && child.exitCode === null) {
        await new Promise(resolve => setTimeout(resolve, 1))
      }
      if (child.kill('SIGKILL')) kills++
      await Promise.all([ended(child), over])
    }
    const { child, lines } = start(sandbox, path, dir)
    const said: string[] = []
    lines.on('line', line => said.push(line))
    const over = once(lines, 'close')
    await Promise.all([ended(child), over])
    const file = onlyFile(sandbox)
    t.ok(said.includes(`file ${file.id}`), `what it said: ${said.join(', ')}`)
    await file.whenUploaded()
    t.equal(file.sha256, sha256(data))
    const twice = [...told].filter(([part, times]) => timesSent(part) > times)
    t.strictSame(twice, [], `${told.size} parts were told`)
    t.strictSame(await readdir(dir), [])
  }
  t.ok(kills > 0, `${kills} were killed`)
})
