/**
 * `devices`: who the device of this file is.
 */
import { FrameioClient } from '../../frameio/client.ts'
import { describe, factsOf } from './describe.ts'
import { retrySayer, type Session, type Told } from './session.ts'
import { tokensOfDevice } from './tokens.ts'

/** How long Frame.io cannot be asked, in ms. */
const GIVE_UP_AFTER = 15_000

export const devices = async ({ device, secrets, display, signal }: Session): Promise<Told> => {
  const { clientVersion, baseUrl, dispatcher } = device
  const client = new FrameioClient({
    token: tokensOfDevice(device, secrets),
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
    const found = await client.getDevice()
    return { result: factsOf(found), line: describe(found) }
  } finally {
    signal.removeEventListener('abort', leave)
    await client.close()
  }
}
