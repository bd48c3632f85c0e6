/** UTF-16 as UTF-8, so that one scanner serves both, with a way back to offsets in the file. */

const HIGH_SURROGATE = 0xd800

/**
 * Turns blocks of UTF-16 into UTF-8. A lone surrogate becomes the three bytes that UTF-8 forbids for it, so that it is
 * found where invalid UTF-8 is found, and so that counting characters still leads back to the offset in the file.
 */
export class Utf16Transcoder {
  readonly #bigEndian: boolean
  /** Bytes of a character that the next block completes. */
  #rest: Buffer = Buffer.alloc(0)

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian
  }

  /** UTF-8 of `block` and what was left of the one before. With `last`, half a character at the end is a lone surrogate. */
  push(block: Uint8Array, last: boolean): Buffer {
    const bytes = Buffer.concat([this.#rest, block])
    let end = bytes.length - (bytes.length % 2)
    if (end > 0 && !last && (bytes[this.#bigEndian ? end - 2 : end - 1]! & 0xfc) === 0xd8) {
      end -= 2
    }
    this.#rest = bytes.subarray(end)
    const units = bytes.subarray(0, end)
    if (this.#bigEndian) {
      units.swap16()
    }
    const text = units.toString('utf16le')
    const good = text.isWellFormed() ? Buffer.from(text, 'utf8') : encodeLone(text)
    return last && this.#rest.length > 0 ? Buffer.concat([good, lone(HIGH_SURROGATE)]) : good
  }
}

/** UTF-16 code units of the text whose UTF-8 stands in `bytes` from `from` to `to`. */
export function utf16Units(bytes: Uint8Array, from: number, to: number): number {
  let units = 0
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at]!
    if ((byte & 0xc0) !== 0x80) {
      units += byte >= 0xf0 ? 2 : 1
    }
  }
  return units
}

/** Text with lone surrogates: what stands between them in UTF-8, and they in the form that UTF-8 forbids. */
function encodeLone(text: string): Buffer {
  const parts: Buffer[] = []
  let from = 0
  for (let at = 0; at < text.length; at += 1) {
    const point = text.codePointAt(at)!
    if (point > 0xffff) {
      at += 1
    } else if (point >= 0xd800 && point <= 0xdfff) {
      parts.push(Buffer.from(text.slice(from, at), 'utf8'), lone(point))
      from = at + 1
    }
  }
  parts.push(Buffer.from(text.slice(from), 'utf8'))
  return Buffer.concat(parts)
}

function lone(unit: number): Buffer {
  return Buffer.from([0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)])
}
