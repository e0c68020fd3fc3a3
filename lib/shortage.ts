/**
 * What a system says where neither file nor disk is at fault: it is short of something in this moment, and
 * what lies there is as whole as before.
 *
 * EMFILE and ENFILE: too many files are open, here or on the whole machine. ENOMEM: the kernel has no memory
 * for the call. EAGAIN: not now. EINTR: a signal came in between; network drives (CIFS) heed no `SA_RESTART`,
 * and libuv repeats every call but a read. EIO and ESTALE are none of these: a disk that fails says so as well.
 */

/** What is to be done about each, in words that go on after "It is not damaged:". */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['EMFILE', 'this process has too many files open, raise its limit (ulimit -n)'],
  [
    'ENFILE',
    'this machine has too many files open, end what holds them or raise its limit (fs.file-max)',
  ],
  ['ENOMEM', 'this machine is short of memory, end what holds it'],
  ['EAGAIN', 'the system asks for another try'],
  ['EINTR', 'a signal interrupted the call'],
])

/** What is to be done about a shortage; undefined where an error, or what stands underneath, is none. */
export const shortageIn = (error: unknown): string | undefined => {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } }
  return ADVICE.get(String(code)) ?? ADVICE.get(String(cause?.code))
}

/**
 * Were too many files open? Of the shortages the one that surely comes before a file is made: with the others
 * it may be there, and its name not durable.
 */
export const isTooMany = (error: unknown): boolean =>
  ['EMFILE', 'ENFILE'].includes(String((error as { code?: unknown } | undefined)?.code))
