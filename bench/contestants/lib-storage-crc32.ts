import { uploadWith } from './lib-storage.ts'

/** The AWS SDK's `Upload` as it comes: with a CRC32 of each part. */
export const upload = uploadWith({})
