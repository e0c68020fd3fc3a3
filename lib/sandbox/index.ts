/**
 * A local Frame.io and its S3 in one process, to try uploads without an account.
 */
export type { DeviceOptions, SandboxDevice, SandboxDevices } from './device-types.ts'
export { startSandbox } from './sandbox.ts'
export type {
  Fault,
  FaultAction,
  Faults,
  Operation,
  Sandbox,
  SandboxAsset,
  SandboxOptions,
  SandboxPart,
  SandboxRequest,
  SandboxStats,
  SandboxV4,
} from './types.ts'
