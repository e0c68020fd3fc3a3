/**
 * Will a recording play that is cut off, or while it is still being written? MP4 and MOV will not
 * where their index (`moov`) comes after their media (`mdat`), which the first boxes of the file
 * tell. Of anything else, or what is not certain, nothing is said.
 *
 *   ftyp  free?  moov  …      an index first: plays, and with mvex and moof it is in fragments
 *   ftyp  free?  mdat  …      media first: the index comes last
 *   ftyp  meta   mdat         a picture, which its brands tell: it has no index to wait for
 */

/** Bytes that are looked at, at most: some writers put large boxes first. */
const LOOK_AT_MOST = 64 * 2 ** 10

/** Bytes of a box that tell its kind, and its size also where that is a large one. */
const HEAD = 16

/** Boxes that may come before those that tell. */
const PREFACE = /^(ftyp|free|skip|wide|uuid|pnot|udta|meta|PICT)$/

/**
 * What HEIF (ISO/IEC 23008-12) and AVIF call pictures and sequences of them, in whatever coding. A
 * file names what it is in its ftyp: first what it is most of all, then what else it may be read as.
 */
const PICTURES = new Set(
  // As a container, then in HEVC, AV1, AVC, VVC, EVC, JPEG and JPEG 2000.
  (
    'mif1 mif2 mif3 msf1 miaf heic heix heim heis hevc hevx hevm hevs avif avis avio ' +
    'avci avcs vvic vvis evbi evbs evmi evms jpeg jpgs j2ki j2is'
  ).split(' '),
)

/** Looks at a stream's first bytes: each once, however small the chunks are that they come in. */
export class StreamabilityCheck {
  /** The head of the box that is looked at, filled in place. */
  readonly #head = Buffer.alloc(HEAD)
  #filled = 0
  /** Bytes of the box before that are still to be passed over. */
  #toPass = 0
  /** Where the box that is looked at begins, in bytes from the start. */
  #at = 0
  /** What the ftyp holds, as far as it came. */
  #brands = ''
  #isInBrands = false

  /** Takes the next bytes. Whether the index comes last; undefined while that is not known. */
  push(chunk: Uint8Array): boolean | undefined {
    for (let at = 0; ; ) {
      const passed = Math.min(this.#toPass, chunk.length - at)
      if (this.#isInBrands) this.#brands += latin1(chunk.subarray(at, at + passed))
      this.#toPass -= passed
      at += passed
      const taken = Math.min(HEAD - this.#filled, chunk.length - at)
      this.#head.set(chunk.subarray(at, at + taken), this.#filled)
      this.#filled += taken
      at += taken
      if (this.#filled < HEAD) return undefined
      const verdict = indexIsLast(this.#head)
      if (verdict !== undefined) return verdict && !arePictures(this.#brands)
      this.#next(sizeOf(this.#head))
      if (this.#at + HEAD > LOOK_AT_MOST) return false
    }
  }

  /** Goes on to the next box. After a small one its head has begun to come already. */
  #next(size: number): void {
    this.#at += size
    this.#isInBrands = kindOf(this.#head) === 'ftyp'
    if (this.#isInBrands) this.#brands = this.#head.toString('latin1', 8, Math.min(size, HEAD))
    this.#head.copyWithin(0, size)
    this.#filled = Math.max(0, HEAD - size)
    this.#toPass = Math.max(0, size - HEAD)
  }
}

/** What a box tells by its head. */
const indexIsLast = (head: Buffer): boolean | undefined => {
  const kind = kindOf(head)
  if (kind === 'mdat') return true
  return PREFACE.test(kind) && sizeOf(head) >= 8 ? undefined : false
}

const kindOf = (head: Buffer): string => head.toString('latin1', 4, 8)

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')

/** Four characters each; the second are no brand, but the version of the first. */
const arePictures = (brands: string): boolean =>
  brands.match(/.{4}/gs)?.some((brand, index) => index !== 1 && PICTURES.has(brand)) ?? false

/** Bytes of a box with its head. */
const sizeOf = (head: Buffer): number => {
  const size = head.readUInt32BE(0)
  // 1: the size is in the eight bytes that follow. 0: to the end of the file.
  return size === 1 ? Number(head.readBigUInt64BE(8)) : size
}
