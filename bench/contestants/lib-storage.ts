import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { type Contestant, LANES } from '../job.ts'

/** The AWS SDK's `Upload`. */
export const uploadWith =
  (config: S3ClientConfig): Contestant =>
  async ({ url, partSize = 5 * 2 ** 20 }, source) => {
    const client = new S3Client({
      endpoint: url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
      forcePathStyle: true,
      ...config,
    })
    const params = { Bucket: 'bucket', Key: 'key', Body: source() }
    await new Upload({ client, params, partSize, queueSize: LANES }).done()
    client.destroy()
  }

/** With its checksums off. */
export const upload = uploadWith({
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
})
