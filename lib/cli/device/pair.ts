/**
 * `pair`: shows a code until a person has entered it, and keeps what comes of that.
 */
import { saveDeviceTokens } from '../../frameio/device-tokens.ts'
import { pairDevice } from '../../frameio/pairing.ts'
import { showCode } from './code-screen.ts'
import { describe, factsOf } from './describe.ts'
import { retrySayer, type Session, type Told } from './session.ts'

/** How long no code is to be had, in ms: a person stands there, who may rather look for the fault. */
const GIVE_UP_AFTER = 60_000

export const pair = async (session: Session): Promise<Told> => {
  const { secrets, display, signal } = session
  const { file, from: _, ...client } = session.device
  let codes = 0
  const { device } = await pairDevice({
    ...client,
    signal,
    retry: { giveUpAfter: GIVE_UP_AFTER },
    onCode: code => showCode(display, code, codes++ > 0),
    onRetry: retrySayer(display),
    async save(tokens, signal) {
      secrets.keep(tokens.accessToken)
      secrets.keep(tokens.refreshToken)
      await saveDeviceTokens({ file, tokens, signal })
    },
  })
  display.say('paired', `paired; its tokens are kept in ${file}`, { file }, 'good')
  if (!device) {
    const text = 'paired, but who the device is could not be asked'
    return { result: { device: null }, line: text }
  }
  return { result: factsOf(device), line: describe(device) }
}
