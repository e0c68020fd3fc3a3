/**
 * Groups of processes: what counts as alive.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { ProcessGroup } from '../lib/cli/process-group.ts'
import { until } from './support/sandboxes.ts'

const skip =
  (process.platform !== 'linux' && 'Linux alone tells of zombies') ||
  (spawnSync('setsid', ['true']).status !== 0 && 'there is no `setsid` from util-linux')

const groupOf = (script: string) => {
  const stdio = ['ignore', 'pipe', 'ignore'] as const
  const leader = spawn('sh', ['-c', script], { ...ProcessGroup.spawnOptions, stdio: [...stdio] })
  return { leader, group: new ProcessGroup(leader, () => {}) }
}

t.test('a group lives as long as any member does', async t => {
  const { leader, group } = groupOf('sleep 600 >&- & exit 0')
  await once(leader, 'exit')
  t.notOk(group.isLeaderRunning)
  t.ok(group.isAlive)
  await group.end()
  t.notOk(group.isAlive)
})

t.test('zombies that nobody waits for are no members', { skip }, async t => {
  // A process that leaves the group, and does not wait for a child of its own that stays in it.
  const stranger = 'echo $$; sleep 0.1 & exec setsid sleep 600'
  const { leader, group } = groupOf(`sh -c '${stranger}' & wait`)
  const [pid] = await once(leader.stdout.setEncoding('utf8'), 'data')
  t.teardown(() => process.kill(Number(pid), 'SIGKILL'))
  t.ok(group.isAlive)
  leader.kill('SIGKILL')
  await once(leader, 'exit')
  await until(() => !group.isAlive, 'the end of the group')
  t.ok(process.kill(-(leader.pid ?? 0), 0), 'the system counts the zombie')
})
