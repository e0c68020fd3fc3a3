/**
 * A recording of twelve hours by a device, in a minute.
 */
import t from 'tap'
import { filmTwelveHours } from '../support/twelve-hours.ts'

t.setTimeout(300_000)

t.test('twelve hours in a minute: tokens change twenty times, and not one part fails', async t =>
  filmTwelveHours(t, { seconds: 60, changes: 20 }),
)
