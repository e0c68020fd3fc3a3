/**
 * `unpair`: Frame.io ends the tokens, and then they leave the file.
 */
import { unpairDevice } from '../../frameio/unpairing.ts'
import type { Session, Told } from './session.ts'

/** How long Frame.io cannot be told, in ms. */
const GIVE_UP_AFTER = 15_000

export const unpair = async ({ device, signal }: Session): Promise<Told> => {
  const { from: _, ...paired } = device
  const { file } = paired
  const wasPaired = await unpairDevice({ ...paired, signal, retry: { giveUpAfter: GIVE_UP_AFTER } })
  const line = wasPaired
    ? `unpaired: the tokens are revoked, and no longer in ${file}`
    : `there are no tokens in ${file}: nothing was to be done`
  return { result: { wasPaired }, line }
}
