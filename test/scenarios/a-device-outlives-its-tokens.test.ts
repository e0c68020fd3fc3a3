import t from 'tap'
import { filmTwelveHours } from '../support/twelve-hours.ts'

t.test('twelve hours in six seconds: tokens change twenty times, and not one part fails', async t =>
  filmTwelveHours(t, { seconds: 6, changes: 20 }),
)
