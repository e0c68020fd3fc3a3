/**
 * `devices`: who the device of this file is.
 */
import { FrameioClient } from '../../frameio/client.ts'
import { describe, factsOf } from './describe.ts'
import { retrySayer, type Session, type Told } from './session.ts'
import { tokensOfDevice } from './tokens.ts'

/** How long Frame.io cannot be asked, in ms. */
const GIVE_UP_AFTER = 15_000

export const devices = async (session: Session): Promise<Told> => {
  const { file, clientId, clientSecret, clientVersion, baseUrl, dispatcher } = session
  const { secrets, display, signal } = session
  const options = { file, clientId, clientSecret, clientVersion, baseUrl, dispatcher }
  const client = new FrameioClient({
    token: tokensOfDevice(options, secrets),
    baseUrl,
    device: { clientVersion },
    dispatcher,
    retry: { giveUpAfter: GIVE_UP_AFTER },
    onRetry: retrySayer(display),
  })
  const leave = () => void client.close()
  signal.addEventListener('abort', leave)
  try {
    signal.throwIfAborted()
    const device = await client.getDevice()
    return { result: factsOf(device), line: describe(device) }
  } finally {
    signal.removeEventListener('abort', leave)
    await client.close()
  }
}
