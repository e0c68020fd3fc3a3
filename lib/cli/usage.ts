/**
 * How the command refuses what it was given.
 */

/** Arguments that make no sense: the command ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
