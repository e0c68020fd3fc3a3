/**
 * When a recording is over, as a table: too early loses the end of a take, too late is only late.
 */
import t from 'tap'
import { isOver, type Look, type Reason, type WriterFacts } from '../lib/follow/over.ts'

const NOW = 1_000_000

/** Nobody was ever seen. */
const UNSEEN: WriterFacts = { isThere: false, since: undefined, gone: undefined, returns: 0 }
/** Seen for so long, in ms, and gone for so long. */
const gone = (wasThere: number, since: number, returns = 0): WriterFacts => ({
  isThere: false,
  since: NOW - since - wasThere,
  gone: { first: NOW - since, last: NOW },
  returns,
})
const there = (since: number, returns = 0): WriterFacts => ({
  isThere: true,
  since: NOW - since,
  gone: undefined,
  returns,
})

interface Row extends Partial<Omit<Look, 'now' | 'unchangedSince'>> {
  /** How long nothing has changed, in ms. */
  readonly quiet: number
}

const CLOSED_LONG = gone(3_600_000, 250)
const FINISHED = { completeness: 'finished', wasOpen: true } as const

const rows: readonly [string, Row, Reason | undefined][] = [
  ['a writer is there and writes', { writer: there(60_000), quiet: 0 }, undefined],
  ['a writer is there and pauses for an hour', { writer: there(4e6), quiet: 3.6e6 }, undefined],
  [
    'a writer is there, and its file says that it is finished',
    { writer: there(4e6), quiet: 3.6e6, ...FINISHED },
    undefined,
  ],
  [
    'a writer that came back is there and pauses',
    { writer: there(4e6, 3), quiet: 3.6e6 },
    undefined,
  ],

  ['closed, two looks ago', { writer: CLOSED_LONG, quiet: 250 }, 'closed'],
  ['closed, seen gone once only', { writer: gone(3.6e6, 0), quiet: 60_000 }, undefined],
  [
    'closed, and less than 200 ms between the looks',
    { writer: gone(3.6e6, 199), quiet: 60_000 },
    undefined,
  ],
  ['closed, exactly 200 ms', { writer: gone(3.6e6, 200), quiet: 200 }, 'closed'],
  ['closed, and it still changes', { writer: CLOSED_LONG, quiet: 100 }, undefined],
  [
    'closed long ago, and it changed just now',
    { writer: gone(3.6e6, 50_000), quiet: 100 },
    undefined,
  ],
  ['closed, and finished', { writer: CLOSED_LONG, quiet: 250, ...FINISHED }, 'closed'],
  ['closed, on a network drive', { writer: CLOSED_LONG, quiet: 250, isLocal: false }, 'closed'],

  ['closed, seen for 9.9 s only', { writer: gone(9_900, 250), quiet: 250 }, undefined],
  ['closed, seen for 9.9 s, 10 s ago', { writer: gone(9_900, 10_000), quiet: 10_000 }, 'closed'],
  [
    'closed, seen for 9.9 s, 10 s ago, and it changed since',
    { writer: gone(9_900, 10_000), quiet: 9_000 },
    undefined,
  ],
  ['closed, seen for 10 s', { writer: gone(10_000, 250), quiet: 250 }, 'closed'],
  [
    'closed, and its head says unfinished',
    { writer: CLOSED_LONG, quiet: 250, completeness: 'unfinished' },
    undefined,
  ],
  [
    'closed 10 s ago, and its head says unfinished',
    { writer: gone(3.6e6, 10_000), quiet: 10_000, completeness: 'unfinished' },
    'closed',
  ],

  [
    'opens and closes for each piece: idle alone',
    { writer: gone(3.6e6, 50_000, 1), quiet: 50_000 },
    undefined,
  ],
  ['the same, for longer than idle', { writer: gone(3.6e6, 60_000, 1), quiet: 60_000 }, 'idle'],
  [
    'the same, finished, for 5 s',
    { writer: gone(3.6e6, 5_000, 1), quiet: 5_000, ...FINISHED },
    'idle',
  ],

  ['nobody seen, quiet for less than idle', { writer: UNSEEN, quiet: 59_999 }, undefined],
  ['nobody seen, quiet for idle', { writer: UNSEEN, quiet: 60_000 }, 'idle'],
  ['nobody seen, finished for 4.9 s', { writer: UNSEEN, quiet: 4_999, ...FINISHED }, undefined],
  ['nobody seen, finished for 5 s', { writer: UNSEEN, quiet: 5_000, ...FINISHED }, 'idle'],
  [
    'finished as long as it is known: a copy whose head came first',
    { writer: UNSEEN, quiet: 5_000, completeness: 'finished', wasOpen: false },
    undefined,
  ],
  [
    'finished for 5 s, on a network drive',
    { writer: UNSEEN, quiet: 5_000, ...FINISHED, isLocal: false },
    undefined,
  ],
  [
    'finished, and idle is shorter than 5 s',
    { writer: UNSEEN, quiet: 1_000, ...FINISHED, idle: 1_000 },
    'idle',
  ],
  [
    'unfinished: idle all the same',
    { writer: UNSEEN, quiet: 60_000, completeness: 'unfinished' },
    'idle',
  ],
  ['a time of change in the future', { writer: UNSEEN, quiet: -50_000 }, undefined],

  ['told, whatever is seen', { writer: there(1_000), quiet: 0, wasToldToEnd: true }, 'told'],
  [
    'told, when it is closed as well',
    { writer: CLOSED_LONG, quiet: 250, wasToldToEnd: true },
    'told',
  ],
]

t.test('a recording is over', async t => {
  for (const [name, { quiet, ...row }, expected] of rows) {
    const look: Look = {
      now: NOW,
      unchangedSince: NOW - quiet,
      writer: UNSEEN,
      wasToldToEnd: false,
      completeness: 'unknown',
      wasOpen: false,
      isLocal: true,
      idle: 60_000,
      ...row,
    }
    t.equal(isOver(look), expected, name)
  }
})
