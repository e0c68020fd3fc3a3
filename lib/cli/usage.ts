/**
 * What the command says of itself, and how it refuses what it was given.
 */

/** Arguments that make no sense: the command ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export const HELP = `\
frameio-upload: what a program writes becomes a Frame.io asset meanwhile

  ffmpeg … pipe:1 | frameio-upload --asset ID --filetype video/mp4
  frameio-upload --parent FOLDER --name A001.mp4 -- ffmpeg … pipe:1
  frameio-upload --sandbox ./out --name A001.mp4 < clip.mp4

  --asset ID             fill this real-time asset, or create one:
  --parent ID            in this folder or project root (not with --device)
  --name FILE            its name; with --asset or --extension given at the end
  --extension .EXT       create it unnamed
  --device VERSION       Camera to Cloud, with this version of your client
  --filetype TYPE        media type; default from the name or the extension
  --part-size SIZE       smallest part, from 5MiB (5MiB)
  --memory SIZE          held for parts at most (256MiB)
  --max-size SIZE        refuse more (5TiB)
  --concurrency N        PUTs at once (4)
  --integrity md5        let S3 check every part
  --give-up-after TIME   of failing, such as 90s, 10m, 2h, never (10m)
  --base-url URL         of the API (https://api.frame.io)
  --token-file FILE      read again when a token was refused; else FRAMEIO_TOKEN
  --sandbox [DIR]        upload to a local Frame.io that keeps its files in DIR
  --no-check             do not ask for the asset before the take
  --wait                 until Frame.io says that the asset is uploaded
  --on-producer-failure  finalise what came (default), or abort
  --json, --quiet, --verbose, --help, --version

Ctrl-C ends the recording and finalises it; twice aborts.
Exit codes: 0 done, 1 failed, 2 usage, 3 the producer failed but what it wrote
is uploaded, 130 aborted.
`
