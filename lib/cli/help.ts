/**
 * What the command says of itself.
 */
import { listingOf } from './flag.ts'
import { FLAGS } from './flags.ts'

export const HELP = `\
frameio-upload: what a program writes becomes a Frame.io asset meanwhile

  ffmpeg … pipe:1 | frameio-upload --asset ID --filetype video/mp4
  frameio-upload --parent FOLDER --name A001.mp4 -- ffmpeg … pipe:1
  frameio-upload --parent FOLDER --follow A001.mov
  frameio-upload --v4 ACCOUNT/FOLDER --name A001.mp4 --segment 5m -- ffmpeg …
  frameio-upload --sandbox ./out --name A001.mp4 < clip.mp4
  frameio-upload pair|unpair|devices --credentials FILE (Camera to Cloud)

${listingOf(FLAGS)}

SIZE: 16M or 16MiB, 5G, 64KiB count by 1024; kB, MB, GB and TB by 1000.

The line that is drawn meanwhile:
  in        bytes that came, and how many a second
  up        bytes that Frame.io has, and how many a second
  headroom  how long until memory is full and the source held; "no end": never
  behind    with --follow, in its place: bytes of the file that are not up yet
  retries   requests that failed and were made again
  lanes     parts on their way just now, at most as many as --concurrency
  buffered  bytes that came and are not up yet; on disk: those in the spool

Ctrl-C ends the recording and finalises it; twice aborts. Exit codes: 0 done,
1 failed, 2 usage, 3 uploaded, but the source did not end well, 130 aborted.
`
