/**
 * Reading into fixed buffers.
 *
 * Node gives each read of a pipe memory of its own, and to collect that takes more time than to
 * send the bytes. A socket with `onread` reads into the same few buffers again and again.
 */
import { createReadStream, fstatSync } from 'node:fs'
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'
import type { Readable, Writable } from 'node:stream'

/** Bytes of each buffer: about what the kernel holds for a socket at most. */
const BUFFER_SIZE = 256 * 2 ** 10
const BUFFERS = 4

/** Writes what an open file or pipe holds to `sink`, which is not ended. */
export const readDescriptor = (fd: number, sink: Writable): Readable => {
  const stat = fstatSync(fd)
  if (process.platform === 'win32' || !(stat.isFIFO() || stat.isSocket())) {
    const file = createReadStream('', { fd })
    file.pipe(sink, { end: false })
    return file
  }
  // `onread` is an option of every socket, but the types know it for those that connect alone.
  const onread = readInto(sink, () => socket.resume())
  const options = { fd, readable: true, writable: false, onread }
  const socket: Socket = new Socket(options as SocketConstructorOpts)
  return socket
}

/**
 * For a socket's `onread`: writes to `sink` what is read, and reads on into the same buffers.
 * `sink` must have copied what it was given when it calls back.
 *
 * @param resume lets the socket read on: it stops while all but the last buffer wait for the sink
 */
export const readInto = (sink: Writable, resume: () => void): OnReadOpts => {
  const free: Buffer[] = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafeSlow(BUFFER_SIZE))
  let waiting = false
  return {
    buffer: () => free.pop() as Buffer,
    callback: (size, buffer) => {
      sink.write(buffer.subarray(0, size), () => {
        free.push(buffer as Buffer)
        if (!waiting) return
        waiting = false
        resume()
      })
      // One must be left: the socket asks for its next buffer as soon as this returns.
      waiting = free.length <= 1
      return !waiting
    },
  }
}
