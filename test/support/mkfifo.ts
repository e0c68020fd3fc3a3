/**
 * A machine that has no `mkfifo`, as far as the PATH tells.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

interface Teardown {
  teardown(undo: () => unknown): void
}

/** A PATH whose `mkfifo` makes nothing. */
export const pathWithoutMkfifo = (t: Teardown): string => {
  const folder = mkdtempSync(join(tmpdir(), 'no-mkfifo-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'mkfifo'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  return `${folder}${delimiter}${process.env.PATH}`
}
