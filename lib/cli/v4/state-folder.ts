/**
 * Where recordings lie until Frame.io has them, unless somebody says where: the place of the user's that a
 * system keeps for what programs must not lose, and nobody else reads.
 */
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

export interface Surroundings {
  readonly platform: NodeJS.Platform
  readonly env: NodeJS.ProcessEnv
  readonly home: string
}

const NAME = 'frameio-upload'

export const stateFolder = (
  { platform, env, home }: Surroundings = {
    platform: process.platform,
    env: process.env,
    home: homedir(),
  },
): string => {
  // A relative one is to be ignored (XDG Base Directory Specification).
  const given = env.XDG_STATE_HOME
  if (given !== undefined && isAbsolute(given)) return join(given, NAME)
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), NAME)
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', NAME)
  return join(home, '.local', 'state', NAME)
}
