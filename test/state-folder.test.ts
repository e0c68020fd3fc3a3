/**
 * Where recordings lie by default, on each system.
 */
import { join } from 'node:path'
import t from 'tap'
import { stateFolder } from '../lib/cli/v4/state-folder.ts'

t.test('the place that a system has for what programs must not lose', async t => {
  const home = '/home/ann'
  for (const [platform, env, expected] of [
    ['linux', {}, [home, '.local', 'state']],
    ['linux', { XDG_STATE_HOME: '/var/ann' }, ['/var/ann']],
    ['linux', { XDG_STATE_HOME: 'relative' }, [home, '.local', 'state']],
    ['linux', { XDG_STATE_HOME: '' }, [home, '.local', 'state']],
    ['darwin', {}, [home, 'Library', 'Application Support']],
    ['win32', {}, [home, 'AppData', 'Local']],
    ['win32', { LOCALAPPDATA: 'D:/local' }, ['D:/local']],
  ] as const) {
    const folder = stateFolder({ platform, env, home })
    t.equal(folder, join(...expected, 'frameio-upload'), `${platform} ${JSON.stringify(env)}`)
  }
})
