/**
 * Texts that cells share. A workbook may have millions, and whoever reads it may write no second file: they are kept as bytes,
 * those behind the first few megabytes packed.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { Refusal } from '../../../errors.js'
import {
  CELL_BYTES_MAX,
  SHARED_STRINGS_BYTES_MAX,
  SHARED_STRINGS_MAX,
  SHARED_STRINGS_PLAIN_BYTES_MAX,
} from '../../../limits.js'
import { CLOSE, decodeEntities, decodeEscapes, decodeXml, NEED_MORE, OPEN, TEXT, XmlScanner } from './xml.js'

/** Texts of one block, a power of two: a text's block and its place there are bits of its number. */
const BLOCK_TEXTS = 512
const BLOCK_BITS = 9
const LENGTH_BYTES = 4
/** A larger block stays as it is: to unpack it for one text would take too long. Bytes. */
const PACKED_BYTES_MAX = 256 * 1024
/** Texts, and unpacked blocks, that were asked for last. Powers of two. */
const CACHED_TEXTS = 1 << 14
const CACHED_BLOCKS = 1 << 8
/**
 * Texts stand in the order in which the sheet uses them first, unless it was sorted later. Then blocks are unpacked over and
 * over; after so many times per block all are, for good.
 */
const UNPACKINGS_PER_BLOCK = 8
/** Length of a text that is longer than a cell may be. */
const TOO_LONG = 0xff_ff_ff_ff

interface Block {
  readonly bytes: Buffer
  /** Where each text ends in `bytes`; TOO_LONG where it is not there. */
  readonly ends: Uint32Array
}

interface PackedBlock {
  readonly packed: Buffer
  readonly count: number
}

/** The texts of a workbook by their number, in memory for as long as the workbook is open. */
export class SharedStrings {
  #count = 0
  #byteSize = 0
  #plainBytes = 0
  readonly #blocks: (Block | PackedBlock)[] = []
  #packedBlocks = 0
  #unpackings = 0
  /** The block that is being filled. */
  #open = Buffer.allocUnsafeSlow(64 * 1024)
  #openBytes = 0
  readonly #openEnds = new Uint32Array(BLOCK_TEXTS)
  readonly #texts: string[] = Array.from({ length: CACHED_TEXTS }, () => '')
  readonly #textNumbers = new Int32Array(CACHED_TEXTS).fill(-1)
  readonly #unpacked: (Block | undefined)[] = Array.from({ length: CACHED_BLOCKS }, () => undefined)
  readonly #unpackedNumbers = new Int32Array(CACHED_BLOCKS).fill(-1)

  /** Throws `Refusal` LIMIT_EXCEEDED where all texts together are too many or too long. */
  add(text: string): void {
    if (this.#count >= SHARED_STRINGS_MAX) {
      throw tooMany(`${SHARED_STRINGS_MAX.toLocaleString('en-US')} different texts`)
    }
    const place = this.#count & (BLOCK_TEXTS - 1)
    let room = text.length * 3
    if (room > CELL_BYTES_MAX) {
      room = Buffer.byteLength(text)
    }
    if (room > CELL_BYTES_MAX) {
      this.#openEnds[place] = TOO_LONG
    } else {
      if (this.#openBytes + room > this.#open.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(this.#open.length * 2, this.#openBytes + room))
        this.#open.copy(larger, 0, 0, this.#openBytes)
        this.#open = larger
      }
      this.#openBytes += this.#open.write(text, this.#openBytes, 'utf8')
      this.#openEnds[place] = this.#openBytes
    }
    if (this.#byteSize + this.#openBytes > SHARED_STRINGS_BYTES_MAX) {
      throw tooMany(`${SHARED_STRINGS_BYTES_MAX.toLocaleString('en-US')} bytes of different texts`)
    }
    this.#count += 1
    if (place === BLOCK_TEXTS - 1) {
      this.#closeBlock(BLOCK_TEXTS)
    }
  }

  /** To be called when all texts have been added. */
  finish(): void {
    const rest = this.#count & (BLOCK_TEXTS - 1)
    if (rest > 0) {
      this.#closeBlock(rest)
    }
    this.#open = Buffer.alloc(0)
  }

  /** Undefined where there is no such text, null where it is longer than CELL_BYTES_MAX. */
  get(index: number): string | null | undefined {
    if (!(index >= 0 && index < this.#count)) {
      return undefined
    }
    const slot = index & (CACHED_TEXTS - 1)
    if (this.#textNumbers[slot] === index) {
      return this.#texts[slot]
    }
    const { bytes, ends } = this.#blockOf(index >>> BLOCK_BITS)
    const place = index & (BLOCK_TEXTS - 1)
    const end = ends[place]
    if (end === undefined || end === TOO_LONG) {
      return null
    }
    let start: number | undefined = 0
    for (let before = place - 1; before >= 0; before -= 1) {
      start = ends[before]
      if (start !== TOO_LONG) {
        break
      }
      start = 0
    }
    const text = bytes.toString('utf8', start, end)
    if (text.length < 200) {
      this.#texts[slot] = text
      this.#textNumbers[slot] = index
    }
    return text
  }

  #closeBlock(count: number): void {
    const byteCount = this.#openBytes
    this.#openBytes = 0
    this.#byteSize += byteCount
    const bytes = this.#open.subarray(0, byteCount)
    const ends = this.#openEnds.subarray(0, count)
    const size = byteCount + count * LENGTH_BYTES
    if (this.#plainBytes + size > SHARED_STRINGS_PLAIN_BYTES_MAX && byteCount <= PACKED_BYTES_MAX) {
      this.#blocks.push({ packed: pack(bytes, ends), count })
      this.#packedBlocks += 1
    } else {
      this.#blocks.push({ bytes: copyOf(bytes), ends: ends.slice() })
      this.#plainBytes += size
    }
    if (this.#open.length > PACKED_BYTES_MAX) {
      this.#open = Buffer.allocUnsafeSlow(64 * 1024)
    }
  }

  #blockOf(number: number): Block {
    const block = this.#blocks[number]
    if (block === undefined) {
      throw new Error('the shared texts have not been finished')
    }
    if ('bytes' in block) {
      return block
    }
    const slot = number & (CACHED_BLOCKS - 1)
    let unpacked = this.#unpacked[slot]
    if (unpacked === undefined || this.#unpackedNumbers[slot] !== number) {
      this.#unpackings += 1
      if (this.#unpackings > UNPACKINGS_PER_BLOCK * this.#packedBlocks) {
        for (const [other, packed] of this.#blocks.entries()) {
          this.#blocks[other] = 'bytes' in packed ? packed : unpack(packed)
        }
        return this.#blockOf(number)
      }
      unpacked = unpack(block)
      this.#unpacked[slot] = unpacked
      this.#unpackedNumbers[slot] = number
    }
    return unpacked
  }
}

/** Lengths, which pack better than where texts end, and the texts. */
function pack(bytes: Buffer, ends: Uint32Array): Buffer {
  const all = Buffer.allocUnsafe(ends.length * LENGTH_BYTES + bytes.length)
  let last = 0
  for (const [index, end] of ends.entries()) {
    all.writeUInt32LE(end === TOO_LONG ? TOO_LONG : end - last, index * LENGTH_BYTES)
    last = end === TOO_LONG ? last : end
  }
  bytes.copy(all, ends.length * LENGTH_BYTES)
  // What zlib answers is a view of a larger buffer, all of which it would keep.
  return copyOf(deflateRawSync(all, { level: 1 }))
}

function unpack({ packed, count }: PackedBlock): Block {
  const all = inflateRawSync(packed)
  const ends = new Uint32Array(count)
  let last = 0
  for (let index = 0; index < count; index += 1) {
    const length = all.readUInt32LE(index * LENGTH_BYTES)
    last += length === TOO_LONG ? 0 : length
    ends[index] = length === TOO_LONG ? TOO_LONG : last
  }
  return { bytes: copyOf(all.subarray(count * LENGTH_BYTES)), ends }
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}

/** Reads the part of shared texts: runs of rich text are joined, phonetic hints left out. */
export async function readSharedStrings(blocks: AsyncIterable<Uint8Array>): Promise<SharedStrings> {
  const strings = new SharedStrings()
  const scanner = new XmlScanner()
  let inItem = false
  let inText = false
  let phonetic = 0
  let value = ''

  /** The usual `<si><t>...</t></si>`, of which most parts hold nothing else, as long as it stands in this block. */
  const plainItems = (): void => {
    const { text } = scanner
    let at = scanner.position
    while (text.startsWith('<si><t', at)) {
      const start = text.indexOf('>', at + 6) + 1
      const end = text.indexOf('<', start)
      if (start === 0 || end < 0 || !text.startsWith('</t></si>', end) || text.charCodeAt(start - 2) === 47) {
        break
      }
      strings.add(decodeEscapes(decodeEntities(text.slice(start, end))))
      at = end + 9
    }
    scanner.position = at
  }

  for await (const block of decodeXml(blocks)) {
    scanner.push(block)
    for (;;) {
      if (!inItem) {
        plainItems()
      }
      const token = scanner.next()
      if (token === NEED_MORE) {
        break
      }
      if (token === TEXT) {
        if (inText && phonetic === 0 && value.length <= CELL_BYTES_MAX) {
          const text = scanner.text.slice(scanner.start, scanner.end)
          value += scanner.literal ? text : decodeEntities(text)
        }
      } else if (token === OPEN) {
        if (scanner.name === 'si') {
          value = ''
          phonetic = 0
          inText = false
          inItem = !scanner.empty
          if (scanner.empty) {
            strings.add('')
          }
        } else if (!scanner.empty) {
          inText = inItem && scanner.name === 't'
          phonetic += scanner.name === 'rPh' ? 1 : 0
        }
      } else if (token === CLOSE) {
        inText = false
        if (scanner.name === 'si' && inItem) {
          strings.add(decodeEscapes(value))
          inItem = false
        } else if (scanner.name === 'rPh') {
          phonetic = Math.max(0, phonetic - 1)
        }
      }
    }
  }
  strings.finish()
  return strings
}

function tooMany(most: string): Refusal {
  return new Refusal(
    'LIMIT_EXCEEDED',
    `The workbook holds more than ${most}, the most that is read. Split it, or save the sheet as CSV.`,
  )
}
