/**
 * What speaks to Frame.io, in one: it takes longer to load than all the rest of the command, and is
 * loaded once it is sure that there is something to upload.
 */
export { openAccount } from './account.ts'
export { checkOptions } from './check-options.ts'
export { runDevice } from './device/run.ts'
export { followFiles } from './folder.ts'
export { openLocal } from './local.ts'
export { Recording } from './recording.ts'
export { resumeTakes } from './resume.ts'
export { nameUnfinished } from './unfinished.ts'
export { resumeForV4 } from './v4/resume.ts'
export { recordForV4 } from './v4/run.ts'
