/**
 * Several uploads as one, for the line that says where they stand.
 */
import type { Progress } from '../upload/events.ts'

export const sumOf = (all: readonly Progress[]): Progress => {
  const of = (key: keyof Progress) => all.reduce((sum, progress) => sum + progress[key], 0)
  return {
    bytesReceived: of('bytesReceived'),
    bytesUploaded: of('bytesUploaded'),
    bytesResent: of('bytesResent'),
    bytesBuffered: of('bytesBuffered'),
    partsFilled: of('partsFilled'),
    partsRegistered: of('partsRegistered'),
    partsUploaded: of('partsUploaded'),
    partsInFlight: of('partsInFlight'),
    retries: of('retries'),
    bytesSpooled: of('bytesSpooled'),
    bytesDurable: of('bytesDurable'),
  }
}
