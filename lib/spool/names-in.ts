/**
 * What lies in the folder that a user calls a spool.
 */
import { readdir } from 'node:fs/promises'
import { RealtimeUploadError } from '../errors.ts'

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const namesIn = (dir: string): Promise<string[]> =>
  readdir(dir).catch(error => {
    const text = `dir must be a folder that can be read; ${error.message}`
    throw new RealtimeUploadError('ERR_INVALID_OPTION', text, { option: 'dir', cause: error })
  })
