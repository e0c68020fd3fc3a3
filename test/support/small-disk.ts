/**
 * A disk that is soon full: only root may mount one.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Teardown {
  teardown(undo: () => unknown): void
}

const mount = (size: number): { dir: string; error: string } => {
  const dir = mkdtempSync(join(tmpdir(), 'small-disk-'))
  const args = ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir]
  const { status, stderr, error } = spawnSync('mount', args, { encoding: 'utf8' })
  if (status === 0) return { dir, error: '' }
  rmdirSync(dir)
  return { dir, error: String(error?.message ?? stderr).trim() || 'mount failed' }
}

const unmount = (dir: string) => {
  spawnSync('umount', [dir])
  rmdirSync(dir)
}

/** A folder on a disk of its own of so many bytes, which goes with the test. */
export const smallDisk = (t: Teardown, size: number): string => {
  const { dir, error } = mount(size)
  if (error !== '') throw new Error(error)
  t.teardown(() => unmount(dir))
  return dir
}

/** Why there can be no small disk here, or false. */
export const noSmallDisk = ((): string | false => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return 'a small disk can be mounted on Linux by root alone'
  }
  const { dir, error } = mount(2 ** 20)
  if (error === '') unmount(dir)
  return error !== '' && `a small disk cannot be mounted here: ${error}`
})()
