/**
 * Text in any encoding as UTF-8, block by block, so that one scanner serves all. What does not decode becomes the byte
 * 0xFF, which UTF-8 never holds: it is found where invalid UTF-8 is found, as a fault of its row.
 */
import iconv from 'iconv-lite'
import type { Encoding } from './detection.js'
import { Utf16Transcoder } from './utf16.js'

const BAD = 0xff

const LF = 10

/**
 * No byte below this is the second or a later one of a character in any of the encodings with several bytes per character,
 * so text may be cut behind such a byte.
 */
const TRAIL_BYTE_MIN = 0x30

/** A text without a place to cut is cut anywhere once so much of it waits. Bytes. */
const UNCUT_BYTES_MAX = 1024 * 1024

/** Turns blocks of text into UTF-8. */
export interface Transcoder {
  /** UTF-8 of `block` and what was left of the one before. With `last`, half a character at the end is a bad one. */
  push(block: Uint8Array, last: boolean): Buffer
}

/** A transcoder from `encoding`, one of those that `findEncoding` and `readEncodingName` answer. */
export function transcoder(encoding: Encoding): Transcoder {
  switch (encoding) {
    case 'utf-8':
      return { push: (block) => Buffer.from(block.buffer, block.byteOffset, block.byteLength) }
    case 'utf-16le':
    case 'utf-16be':
      return new Utf16Transcoder(encoding === 'utf-16be')
    case 'utf-32le':
    case 'utf-32be':
      return new Utf32Transcoder(encoding === 'utf-32be')
    case 'iso-2022-kr':
      return new ShiftedKoreanTranscoder()
    default: {
      const table = byteTable(encoding)
      return table === null ? new MultiByteTranscoder(encoding) : new SingleByteTranscoder(table)
    }
  }
}

/** The characters of the 256 bytes, '' where a byte has none; null where characters have several bytes. */
export function charactersOf(encoding: Encoding): readonly string[] | null {
  if (MULTI_BYTE.has(encoding)) {
    return null
  }
  const read = singleByteReader(encoding)
  return Array.from({ length: 256 }, (_, byte) => read(byte))
}

const MULTI_BYTE: ReadonlySet<Encoding> = new Set([
  'utf-8',
  'utf-16le',
  'utf-16be',
  'utf-32le',
  'utf-32be',
  'shift_jis',
  'euc-jp',
  'iso-2022-jp',
  'iso-2022-kr',
  'euc-kr',
  'gbk',
  'gb18030',
  'big5',
])

function singleByteReader(encoding: Encoding): (byte: number) => string {
  if (isKnownToPlatform(encoding)) {
    const decoder = new TextDecoder(encoding)
    return (byte) => {
      const text = decoder.decode(Uint8Array.of(byte))
      return text === '\uFFFD' ? '' : text
    }
  }
  return (byte) => {
    const text = iconv.decode(Buffer.of(byte), encoding)
    return text === '\uFFFD' ? '' : text
  }
}

/** Whether `TextDecoder` reads the encoding. */
export function isKnownToPlatform(encoding: Encoding): boolean {
  try {
    return new TextDecoder(encoding).encoding !== ''
  } catch {
    return false
  }
}

/** UTF-8 of each byte in slots of four (bytes, then their number), or null where characters have several bytes. */
function byteTable(encoding: Encoding): Uint8Array | null {
  const characters = charactersOf(encoding)
  if (characters === null) {
    return null
  }
  const table = new Uint8Array(256 * 4)
  for (const [byte, character] of characters.entries()) {
    const bytes = character === '' ? Buffer.of(BAD) : Buffer.from(character, 'utf8')
    table.set(bytes.subarray(0, 3), byte * 4)
    table[byte * 4 + 3] = Math.min(3, bytes.length)
  }
  return table
}

class SingleByteTranscoder implements Transcoder {
  readonly #table: Uint8Array

  constructor(table: Uint8Array) {
    this.#table = table
  }

  push(block: Uint8Array): Buffer {
    const table = this.#table
    const out = Buffer.allocUnsafe(block.length * 3)
    let to = 0
    for (let at = 0; at < block.length; at += 1) {
      const byte = block[at]!
      if (byte < 0x80) {
        out[to] = byte
        to += 1
        continue
      }
      const slot = byte * 4
      const length = table[slot + 3]!
      out[to] = table[slot]!
      if (length > 1) {
        out[to + 1] = table[slot + 1]!
        if (length > 2) {
          out[to + 2] = table[slot + 2]!
        }
      }
      to += length
    }
    return out.subarray(0, to)
  }
}

class Utf32Transcoder implements Transcoder {
  readonly #bigEndian: boolean
  #rest: Buffer = Buffer.alloc(0)

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian
  }

  push(block: Uint8Array, last: boolean): Buffer {
    const bytes = Buffer.concat([this.#rest, block])
    const end = bytes.length - (bytes.length % 4)
    this.#rest = bytes.subarray(end)
    const parts: Buffer[] = []
    let text = ''
    for (let at = 0; at < end; at += 4) {
      const point = this.#bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)
      if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        parts.push(Buffer.from(text, 'utf8'), Buffer.of(BAD))
        text = ''
      } else {
        text += String.fromCodePoint(point)
      }
    }
    parts.push(Buffer.from(text, 'utf8'))
    if (last && this.#rest.length > 0) {
      parts.push(Buffer.of(BAD))
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }
}

/** Through the platform's decoder, in pieces that end where a character surely does. */
class MultiByteTranscoder implements Transcoder {
  readonly #strict: InstanceType<typeof TextDecoder>
  readonly #lenient: InstanceType<typeof TextDecoder>
  /** Shifts between alphabets end with the line, and only there. */
  readonly #shifts: boolean
  /** What bytes that mean nothing become: the platform's Big5 has private characters for two of them. */
  readonly #bad: RegExp
  /** Blocks since the last place to cut, and their length in bytes. */
  #waits: Buffer[] = []
  #waiting = 0

  constructor(encoding: Encoding) {
    this.#strict = new TextDecoder(encoding, { fatal: true })
    this.#lenient = new TextDecoder(encoding)
    this.#shifts = encoding === 'iso-2022-jp'
    this.#bad = encoding === 'big5' ? /[\uFFFD\uF8F8\u0080]/ : /\uFFFD/
  }

  push(block: Uint8Array, last: boolean): Buffer {
    // What waits has no place to cut, or it would not: only the block is searched for one.
    let end = block.length
    if (!last) {
      while (end > 0 && (this.#shifts ? block[end - 1] !== LF : block[end - 1]! >= TRAIL_BYTE_MIN)) {
        end -= 1
      }
      if (end === 0) {
        this.#waits.push(Buffer.from(block))
        this.#waiting += block.length
        return this.#waiting > UNCUT_BYTES_MAX ? this.#decode(this.#take(new Uint8Array())) : Buffer.alloc(0)
      }
    }
    const bytes = this.#take(block.subarray(0, end))
    if (end < block.length) {
      this.#waits.push(Buffer.from(block.subarray(end)))
      this.#waiting = block.length - end
    }
    return this.#decode(bytes)
  }

  /** What waits and what follows it, as one. */
  #take(block: Uint8Array): Buffer {
    const bytes = Buffer.concat([...this.#waits, block])
    this.#waits = []
    this.#waiting = 0
    return bytes
  }

  #decode(bytes: Buffer): Buffer {
    if (bytes.length === 0) {
      return bytes
    }
    try {
      const text = this.#strict.decode(bytes)
      return this.#bad.test(text) ? this.#decodeLines(bytes) : Buffer.from(text, 'utf8')
    } catch {
      return this.#decodeLines(bytes)
    }
  }

  /** A bad character is a matter of its line: the others are read as if it were not there. */
  #decodeLines(bytes: Buffer): Buffer {
    const parts: Buffer[] = []
    for (let from = 0; from < bytes.length; ) {
      const found = bytes.indexOf(LF, from)
      const to = found < 0 ? bytes.length : found + 1
      const line = bytes.subarray(from, to)
      if (this.#isGood(line)) {
        parts.push(Buffer.from(this.#strict.decode(line), 'utf8'))
      } else {
        for (const [index, piece] of this.#lenient.decode(line).split(this.#bad).entries()) {
          if (index > 0) {
            parts.push(Buffer.of(BAD))
          }
          parts.push(Buffer.from(piece, 'utf8'))
        }
      }
      from = to
    }
    return Buffer.concat(parts)
  }

  /** A replacement character that stands in the text itself (GB 18030 has one) is none of a bad byte. */
  #isGood(line: Buffer): boolean {
    try {
      const text = this.#strict.decode(line)
      return !/[\uF8F8\u0080]/.test(text) || !this.#bad.test(text)
    } catch {
      return false
    }
  }
}

const SHIFT_OUT = 14
const SHIFT_IN = 15

/** ISO-2022-KR: EUC-KR without its high bits between the signs SO and SI, which end with the line. */
class ShiftedKoreanTranscoder implements Transcoder {
  readonly #korean = new MultiByteTranscoder('euc-kr')
  #shifted = false
  /** The start of an escape sequence that the next block goes on with. */
  #rest: Buffer = Buffer.alloc(0)

  push(block: Uint8Array, last: boolean): Buffer {
    const bytes = Buffer.concat([this.#rest, block])
    const cut = last ? -1 : bytes.lastIndexOf(0x1b)
    const end = cut >= 0 && bytes.length - cut < 4 ? cut : bytes.length
    this.#rest = bytes.subarray(end)
    const out = Buffer.allocUnsafe(end)
    let to = 0
    for (let at = 0; at < end; at += 1) {
      const byte = bytes[at]!
      if (byte === SHIFT_OUT || byte === SHIFT_IN) {
        this.#shifted = byte === SHIFT_OUT
      } else if (byte === 0x1b && bytes.toString('latin1', at, at + 4) === '\u001b$)C') {
        at += 3
      } else {
        this.#shifted &&= byte !== LF
        out[to] = this.#shifted && byte > 0x20 ? byte | 0x80 : byte
        to += 1
      }
    }
    return this.#korean.push(out.subarray(0, to), last)
  }
}
