/**
 * Tokens as people put them into a variable or a file: often with what stands around them.
 */
import { UsageError } from './usage.ts'

/**
 * What is wrong with it is said, and never what it holds.
 *
 * @param from where it comes from, such as FRAMEIO_TOKEN
 * @throws {UsageError}
 */
export const checkBearer = (from: string, token: string): void => {
  const fault = faultOf(token)
  if (fault) throw new UsageError(`${from} must hold the token alone: ${fault}`)
}

const faultOf = (token: string): string | undefined => {
  if (/^(?:Authorization: *)?Bearer\s/i.test(token))
    return 'what stands before it, "Bearer ", must go'
  if (/^(["']).*\1$/s.test(token)) return 'the quotes around it must go'
  if (/^[[{<]/.test(token)) return 'it looks like JSON, or a page'
  if (/\s/.test(token)) return 'it has a space or a line break, and a token has none'
  return /^[\x21-\x7e]+$/.test(token) ? undefined : 'it has a character that no token has'
}
