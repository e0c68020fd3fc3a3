/**
 * What is written beside the code is true of the code, and is found by who looks for it.
 */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { COMMAND, FAULTS, renderFaults } from './support/write-faults.ts'

t.test('the fault matrix is written down as it is', async t => {
  t.equal(await readFile(FAULTS, 'utf8'), renderFaults(), `stale: renew it with ${COMMAND}`)
})
