export type { CreateAssetOptions, PartInfo, RegisterOptions, WaitOptions } from './client.ts'
export { FrameioClient } from './client.ts'
export type { DiagnosticMessages } from './diagnostics.ts'
export type { ErrorCode } from './errors.ts'
export { AbortError, RealtimeUploadError } from './errors.ts'
export type { EventMap, StoredPart, UploadWarning } from './events.ts'
export type {
  ConnectionOptions,
  Device,
  FrameioClientOptions,
  RealtimeUploadOptions,
  Token,
} from './options.ts'
export type { Producer } from './producer.ts'
export type { Asset } from './protocol.ts'
export type { Progress, UploadResult } from './realtime-upload.ts'
export { RealtimeUpload } from './realtime-upload.ts'
export type { RefreshingToken, RefreshingTokenOptions } from './refreshing-token.ts'
export { refreshingToken } from './refreshing-token.ts'
export type { RetryOptions } from './retry.ts'
export type { TeeOptions } from './tee.ts'
export { tee } from './tee.ts'
export type { RetryInfo } from './transfer.ts'
export type {
  Descriptor,
  OnSourceFailure,
  SourceEnd,
  UploadFromOptions,
  UploadFromResult,
} from './upload-from.ts'
export { uploadFrom } from './upload-from.ts'
