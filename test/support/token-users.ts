/**
 * Processes that share a file of tokens, killed at random moments while the tokens are refreshed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { build } from 'esbuild'
import { pairDevice, saveDeviceTokens } from '../../lib/index.ts'
import { startSandbox } from '../../lib/sandbox/index.ts'
import { randomOf } from './power-cuts.ts'

export interface TokenUsers {
  /** How many were killed, and what became of it. */
  readonly said: string
  readonly refreshes: number
  readonly violation: string | undefined
}

export interface TokenUsersOptions {
  readonly processes: number
  /** How many refreshes to wait for. */
  readonly refreshes: number
  /** Whether processes are killed. */
  readonly kill: boolean
  readonly seed: number
  readonly onRefresh?: () => void
}

/** A guard against hanging: longest that a refresh is waited for, in ms. */
const PATIENCE = 60_000

export const useTokens = async ({
  processes,
  refreshes,
  kill,
  seed,
  onRefresh = () => {},
}: TokenUsersOptions): Promise<TokenUsers> => {
  const random = randomOf(seed)
  const root = await mkdtemp(join(tmpdir(), 'token-users-'))
  const file = join(root, 'tokens.json')
  // One file that starts at once, where TypeScript would take a second each time.
  const script = join(root, 'token-user.cjs')
  const entry = { entryPoints: ['test/support/token-user.ts'], outfile: script }
  await build({ ...entry, bundle: true, platform: 'node', format: 'cjs', logLevel: 'error' })
  const sandbox = await startSandbox({ pairing: { interval: 0.001 }, latency: { api: 10 } })
  const { clientSecret } = sandbox.credentials
  const client = { clientId: 'shared-device', clientSecret, baseUrl: sandbox.url }

  const pair = async () => {
    const onCode = ({ userCode }: { userCode: string }) => void sandbox.devices.enter(userCode)
    const { tokens } = await pairDevice({ ...client, onCode })
    await saveDeviceTokens({ file, tokens })
  }
  await pair()
  const device = sandbox.devices.paired[0] as (typeof sandbox.devices.paired)[number]

  const sums = { kills: 0, lost: 0, looks: 0 }
  let violation: string | undefined
  let reusedInLosses = 0
  let isOver = false
  let isBeingPaired = false
  const users = new Set<ChildProcess>()
  /** Those that use the tokens now, and no longer wait for their first. */
  const ready = new Set<ChildProcess>()
  let pairedAgain: Promise<void> | undefined

  const kept = async (): Promise<{ refreshToken?: unknown }> => {
    const text = await readFile(file, 'utf8')
    try {
      return JSON.parse(text)
    } catch {
      violation ??= `a torn file: ${text.length} characters`
      return {}
    }
  }
  const start = () => {
    if (isOver || isBeingPaired) return
    const args = [script, client.baseUrl, file, client.clientId, clientSecret]
    const user = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    users.add(user)
    user.stdout.on('data', said => hear(user, String(said)))
    user.once('close', () => {
      users.delete(user)
      ready.delete(user)
      start()
    })
  }
  const hear = (user: ChildProcess, said: string) => {
    if (said.includes('ready')) ready.add(user)
    const wrong = said.replace('ready\n', '').trim()
    if (wrong === '') return
    if (wrong !== 'ERR_NOT_PAIRED') violation ??= `a process says ${wrong}`
    else
      pairedAgain ??= pairAgain().finally(() => {
        pairedAgain = undefined
      })
  }
  const killAll = async () => {
    await Promise.all(
      [...users].map(async user => {
        const closed = once(user, 'close')
        user.kill('SIGKILL')
        await closed
      }),
    )
  }
  /** Only where an answer was lost may anybody say so: what is in the file is not in force then. */
  const pairAgain = async () => {
    isBeingPaired = true
    const { refreshToken } = await kept()
    if (refreshToken === device.refreshToken) violation ??= '"pair again", and no answer was lost'
    await killAll()
    sums.lost += 1
    await pair()
    reusedInLosses = device.reused
    isBeingPaired = false
    for (let i = 0; i < processes; i++) start()
  }
  const look = async () => {
    for (; !isOver; await wait(2)) {
      sums.looks += 1
      const { refreshToken } = await kept()
      if (typeof refreshToken !== 'string') violation ??= 'a file without a refresh token'
    }
  }
  const until = async (condition: () => boolean) => {
    const end = performance.now() + PATIENCE
    while (!condition() && violation === undefined) {
      if (performance.now() > end) violation = 'no refresh for a minute'
      await wait(2)
    }
  }

  for (let i = 0; i < processes; i++) start()
  const looking = look()
  const began = device.refreshes
  while (device.refreshes - began < refreshes && violation === undefined) {
    await until(() => ready.size > 0 && !isBeingPaired)
    const before = device.refreshes
    device.expire()
    if (kill && random() < 0.7) {
      await wait(random() * 60)
      const [victim] = [...ready].slice(Math.floor(random() * ready.size))
      if (victim?.kill('SIGKILL')) sums.kills += 1
    }
    await until(() => device.refreshes > before || isBeingPaired)
    onRefresh()
  }
  isOver = true
  await looking
  await pairedAgain
  await killAll()
  const isLost = (await kept()).refreshToken !== device.refreshToken
  if (device.reused > reusedInLosses && !isLost) violation ??= 'two refreshes with one token'
  const count = device.refreshes - began
  await sandbox.close()
  await rm(root, { recursive: true, force: true })
  const said = `${count} refreshes by ${processes} processes, ${sums.kills} of them killed; ${sums.lost} answers lost, and as often "pair again"; the file read ${sums.looks} times`
  return { said, refreshes: count, violation }
}
