export type { ErrorCode } from './errors.ts'
export { AbortError, RealtimeUploadError } from './errors.ts'
export type { FileSource, FollowOptions } from './follow/options.ts'
export type { Tokens } from './frameio/auth-answers.ts'
export type {
  CreateAssetOptions,
  PartInfo,
  RegisterOptions,
  WaitOptions,
} from './frameio/client.ts'
export { FrameioClient } from './frameio/client.ts'
export type { DeviceInfo } from './frameio/device-info.ts'
export type { DeviceTokensOptions } from './frameio/device-tokens.ts'
export { deviceTokens, saveDeviceTokens } from './frameio/device-tokens.ts'
export type {
  CallRetry,
  ConnectionOptions,
  Device,
  FrameioClientOptions,
  SpoolOptions,
} from './frameio/options.ts'
export type { PairDeviceOptions, Pairing, PairingCode } from './frameio/pairing.ts'
export { pairDevice } from './frameio/pairing.ts'
export type { Asset } from './frameio/protocol.ts'
export type { RefreshingTokenOptions } from './frameio/refreshing-token.ts'
export { refreshingToken } from './frameio/refreshing-token.ts'
export type { RefreshingToken, Token } from './frameio/token.ts'
export type { UnpairDeviceOptions } from './frameio/unpairing.ts'
export { unpairDevice } from './frameio/unpairing.ts'
export type { CreateFileOptions } from './frameio/v4/client.ts'
export { FrameioV4Client } from './frameio/v4/client.ts'
export type { FrameioV4ClientOptions, V4CallRetry } from './frameio/v4/options.ts'
export type {
  V4Entry,
  V4File,
  V4FileStatus,
  V4NewFile,
  V4UploadUrl,
  V4User,
} from './frameio/v4/protocol.ts'
export type { ServerToServerTokenOptions } from './frameio/v4/server-token.ts'
export { serverToServerToken } from './frameio/v4/server-token.ts'
export type { Retry, RetryOptions } from './net/retry.ts'
export type { SegmentTime } from './segments/segment-time.ts'
export type { Chunk } from './sources/chunk.ts'
export type { ResumedUpload } from './sources/go-on.ts'
export type { Producer } from './sources/producer.ts'
export type { Resumed, ResumeOptions } from './sources/resume.ts'
export { resumeUploads } from './sources/resume.ts'
export type { Segment, Segments, SegmentsEvents, SegmentsResult } from './sources/segments.ts'
export { segments } from './sources/segments.ts'
export type { SegmentsOptions } from './sources/segments-options.ts'
export type { Descriptor, Source } from './sources/source.ts'
export type { SourceEnd } from './sources/source-end.ts'
export type { TeeOptions } from './sources/tee.ts'
export { tee } from './sources/tee.ts'
export type {
  OnSourceFailure,
  UploadFromOptions,
  UploadFromResult,
} from './sources/upload-from.ts'
export { uploadFrom } from './sources/upload-from.ts'
export type { KeptFile } from './spool/home.ts'
export type { DiagnosticMessages } from './upload/diagnostics.ts'
export type {
  EventMap,
  Progress,
  RetryInfo,
  StoredPart,
  UploadResult,
  UploadWarning,
} from './upload/events.ts'
export type { MendHead } from './upload/late-head.ts'
export type { RealtimeUploadOptions } from './upload/options.ts'
export { RealtimeUpload } from './upload/realtime-upload.ts'
export { finishWav } from './upload/wav.ts'
export type { FileRetry, FileUploadEvent, FileWarning, UploadedFile } from './v4/events.ts'
export type { FileSettings, UploadFileOptions } from './v4/options.ts'
export type { RecordToV4Options, RecordToV4Result } from './v4/record-to-v4.ts'
export { recordToV4 } from './v4/record-to-v4.ts'
export type { ResumedV4, ResumeV4Options } from './v4/resume-v4.ts'
export { resumeV4 } from './v4/resume-v4.ts'
export type { TakeEvent, TakeWarning } from './v4/take-events.ts'
export type { TakeOptions, TakeSpoolOptions } from './v4/take-options.ts'
export { uploadFile } from './v4/upload-file.ts'
