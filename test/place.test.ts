/**
 * A place that a file takes while it has something to send.
 */
import t from 'tap'
import { isRoom, Place } from '../lib/sources/place.ts'

const counts = { bytesReceived: 0, partsFilled: 0, partsUploaded: 0, partsInFlight: 0 }

/** An upload whose counts can be changed, and its place. */
const placeOf = (before: Partial<typeof counts> = {}) => {
  const upload = { progress: { ...counts, ...before } }
  const place = new Place()
  place.fill(upload)
  return { place, set: (more: Partial<typeof counts>) => Object.assign(upload.progress, more) }
}

t.test('a recorder that pauses gives its place up, and takes it again', async t => {
  const { place, set } = placeOf()
  set({ bytesReceived: 5_000, partsFilled: 2 })
  t.ok(place.isTaken(0))
  set({ partsUploaded: 2 })
  t.ok(place.isTaken(1_000), 'all is sent, and it may go on at once')
  t.ok(place.isTaken(10_999))
  t.notOk(place.isTaken(11_000))
  set({ bytesReceived: 5_001 })
  t.ok(place.isTaken(12_000), 'it goes on')
  t.ok(place.isTaken(13_000))
  t.notOk(place.isTaken(23_000))
})

t.test('what waits to be sent keeps it, as in an outage', async t => {
  const { place, set } = placeOf()
  set({ bytesReceived: 5_000, partsFilled: 3, partsUploaded: 2 })
  for (const now of [0, 1_000, 60_000, 3_600_000]) t.ok(place.isTaken(now))
  set({ partsUploaded: 3, partsInFlight: 1 })
  t.ok(place.isTaken(7_200_000), 'sent once more')
})

t.test('one that goes on where it was cut off', async t => {
  const { place, set } = placeOf({ bytesReceived: 9_000, partsUploaded: 4 })
  t.ok(place.isTaken(0))
  t.ok(place.isTaken(1_000))
  t.notOk(place.isTaken(20_000), 'nothing is to be sent')
  set({ partsFilled: 1 })
  t.ok(place.isTaken(21_000))
})

t.test('one that is not open yet has its place', async t => {
  const place = new Place()
  t.ok(place.isTaken(0))
  t.ok(place.isTaken(3_600_000))
})

t.test('four places, and thirty-two files that are open', async t => {
  const busy = Array.from({ length: 4 }, () => new Place())
  t.ok(isRoom(busy.slice(1), 0))
  t.notOk(isRoom(busy, 0))
  const resting = Array.from({ length: 32 }, () => placeOf().place)
  for (const place of resting) place.isTaken(0)
  for (const place of resting) place.isTaken(1)
  t.ok(isRoom(resting.slice(1), 20_000))
  t.notOk(isRoom(resting, 20_000))
  t.ok(isRoom([...resting.slice(1, 20), ...busy.slice(1)], 20_000))
  t.notOk(isRoom([...resting.slice(1, 20), ...busy], 20_000))
})
