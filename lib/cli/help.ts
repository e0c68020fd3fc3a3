/**
 * What the command says of itself.
 */
import { listing } from './flags.ts'

export const HELP = `\
frameio-upload: what a program writes becomes a Frame.io asset meanwhile

  ffmpeg … pipe:1 | frameio-upload --asset ID --filetype video/mp4
  frameio-upload --parent FOLDER --name A001.mp4 -- ffmpeg … pipe:1
  frameio-upload --sandbox ./out --name A001.mp4 < clip.mp4

${listing()}

Ctrl-C ends the recording and finalises it; twice aborts.
Exit codes: 0 done, 1 failed, 2 usage, 3 the producer failed but what it wrote
is uploaded, 130 aborted.
`
