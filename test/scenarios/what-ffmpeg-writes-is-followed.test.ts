/**
 * A recording of each container in real time, followed while it grows: the asset is the finished file.
 */
import t from 'tap'
import { followWriters, tableOf, WRITERS } from '../support/real-writers.ts'

t.setTimeout(600_000)

t.test('of whatever ffmpeg writes, the asset is the finished file', async t => {
  const { followed, skipped } = await followWriters()
  for (const line of tableOf(followed).split('\n')) t.comment(line)
  for (const reason of skipped) t.comment(`Skipped: ${reason}`)
  t.equal(followed.length + skipped.length, WRITERS.length)
  t.ok(followed.length >= 15, `${followed.length} containers`)
  for (const { name, isEqual, reason, ok, parts, early, resent, mayResend } of followed) {
    t.equal(isEqual, true, `${name} is equal`)
    t.strictSame({ reason, ok }, { reason: 'closed', ok: true }, name)
    t.ok(parts >= 5, `${name}: ${early} of ${parts} parts before its end`)
    if (!mayResend) t.strictSame(resent, [], `${name}: nothing is sent twice`)
  }
  // On a busy machine a recording of seconds may be over before a part of it has gone.
  const early = followed.filter(({ early }) => early > 0)
  t.ok(early.length > followed.length / 2, `${early.length} went up while they were written`)
})
