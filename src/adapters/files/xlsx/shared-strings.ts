/** Texts that cells share. A workbook may have millions: they are kept as bytes, which take a third of what strings do. */
import { Refusal } from '../../../errors.js'
import { CELL_BYTES_MAX, SHARED_STRINGS_BYTES_MAX, SHARED_STRINGS_MAX } from '../../../limits.js'
import { CLOSE, decodeEntities, decodeEscapes, decodeXml, NEED_MORE, OPEN, TEXT, XmlScanner } from './xml.js'

const BLOCK_BYTES = 2 * CELL_BYTES_MAX
/** Starts per array: one array that grows would be copied, and there twice, again and again. */
const STARTS = 1 << 16
/** A power of two. */
const CACHED = 1 << 14
/** Start of a text that is longer than a cell may be. */
const TOO_LONG = 0xff_ff_ff_ff

/** The texts of a workbook by their number, in memory for as long as the workbook is open. */
export class SharedStrings {
  #count = 0
  #byteSize = 0
  readonly #blocks: Buffer[] = []
  /** Bytes used of each block. */
  readonly #used: number[] = []
  /** Where each text starts: number of its block times BLOCK_BYTES, plus where in the block. It ends where the next starts. */
  readonly #starts: Uint32Array[] = []
  /** Texts that were asked for last, by the low bits of their number. */
  readonly #cached: string[] = Array.from({ length: CACHED }, () => '')
  readonly #cachedNumbers = new Int32Array(CACHED).fill(-1)

  get count(): number {
    return this.#count
  }

  /** Throws `Refusal` LIMIT_EXCEEDED where all texts together are too many or too long. */
  add(text: string): void {
    if (this.#count >= SHARED_STRINGS_MAX) {
      throw tooMany(`${SHARED_STRINGS_MAX.toLocaleString('en-US')} different texts`)
    }
    let block = this.#blocks.at(-1)
    let used = this.#used.at(-1) ?? 0
    const roomWanted = text.length * 3
    if (roomWanted > CELL_BYTES_MAX && Buffer.byteLength(text) > CELL_BYTES_MAX) {
      this.#setStart(TOO_LONG)
      return
    }
    if (block === undefined || used + Math.min(roomWanted, CELL_BYTES_MAX) > BLOCK_BYTES) {
      block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
      used = 0
      this.#blocks.push(block)
      this.#used.push(0)
    }
    const byteCount = block.write(text, used, 'utf8')
    this.#setStart((this.#blocks.length - 1) * BLOCK_BYTES + used)
    this.#used[this.#used.length - 1] = used + byteCount
    this.#byteSize += byteCount
    if (this.#byteSize > SHARED_STRINGS_BYTES_MAX) {
      throw tooMany(`${SHARED_STRINGS_BYTES_MAX.toLocaleString('en-US')} bytes of different texts`)
    }
  }

  /** Undefined where there is no such text, null where it is longer than CELL_BYTES_MAX. */
  get(index: number): string | null | undefined {
    const slot = index & (CACHED - 1)
    if (this.#cachedNumbers[slot] === index) {
      return this.#cached[slot]
    }
    if (!(index >= 0 && index < this.#count)) {
      return undefined
    }
    const start = this.#startOf(index)
    if (start === TOO_LONG) {
      return null
    }
    const blockIndex = Math.floor(start / BLOCK_BYTES)
    const text = this.#blocks[blockIndex]?.toString('utf8', start % BLOCK_BYTES, this.#endOf(index, blockIndex)) ?? ''
    if (text.length < 200) {
      this.#cached[slot] = text
      this.#cachedNumbers[slot] = index
    }
    return text
  }

  #endOf(index: number, blockIndex: number): number {
    for (let next = index + 1; next < this.#count; next += 1) {
      const start = this.#startOf(next)
      if (start !== TOO_LONG) {
        const inBlock = start - blockIndex * BLOCK_BYTES
        return inBlock < BLOCK_BYTES ? inBlock : (this.#used[blockIndex] ?? 0)
      }
    }
    return this.#used[blockIndex] ?? 0
  }

  #startOf(index: number): number {
    return this.#starts[index >>> 16]?.[index & (STARTS - 1)] ?? TOO_LONG
  }

  #setStart(start: number): void {
    const at = this.#count & (STARTS - 1)
    if (at === 0) {
      this.#starts.push(new Uint32Array(STARTS))
    }
    const starts = this.#starts.at(-1)
    if (starts !== undefined) {
      starts[at] = start
    }
    this.#count += 1
  }
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
  return strings
}

function tooMany(most: string): Refusal {
  return new Refusal(
    'LIMIT_EXCEEDED',
    `The workbook holds more than ${most}, the most that is read. Split it, or save the sheet as CSV.`,
  )
}
