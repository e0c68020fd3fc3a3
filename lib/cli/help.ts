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

SIZE: 16M or 16MiB, 5G, 64KiB count by 1024; kB, MB, GB and TB by 1000.

The line that is drawn meanwhile:
  in        bytes that came, and how many a second
  up        bytes that Frame.io has, and how many a second
  headroom  how long until the memory is full at these rates, and the source is
            held; "no end" where bytes go as fast as they come
  retries   requests that failed and were made again
  lanes     parts on their way just now, at most as many as --concurrency
  buffered  bytes that came and are not up yet; on disk: those in the spool

Ctrl-C ends the recording and finalises it; twice aborts.
Exit codes: 0 done, 1 failed, 2 usage, 3 the producer failed but what it wrote
is uploaded, 130 aborted.
`
