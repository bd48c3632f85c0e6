/** XML as workbooks use it, in blocks: own code because a general parser takes longer than all the rest of the reading. */
import { TextDecoder } from 'node:util'
import { Refusal } from '../../../errors.js'
import { XML_TOKEN_LENGTH_MAX } from '../../../limits.js'

/** What `XmlScanner.next` found. */
export const NEED_MORE = 0
export const OPEN = 1
export const CLOSE = 2
export const TEXT = 3

const LT = 60
const GT = 62
const SLASH = 47
const BANG = 33
const QUESTION = 63
const COLON = 58

/**
 * Splits XML that comes in blocks into tags and texts. Comments and processing instructions are passed over, prefixes of
 * names dropped, CDATA is text. Throws `Refusal` FILE_UNSAFE for a document type declaration, so that entities are never
 * declared, and FILE_UNREADABLE for a tag without an end. Does not check that tags match.
 */
export class XmlScanner {
  /** The blocks that have not been scanned to their end. */
  text = ''
  /** Where the next token starts in `text`. */
  position = 0
  /** Of the tag: its name without prefix. */
  name = ''
  /** Of the tag: `<a/>`, which no CLOSE follows. */
  empty = false
  /** Of the text: where it stands in `text`, entities not yet decoded; of the tag: its attributes. */
  start = 0
  end = 0
  /** Of the text: `&` in it is an ampersand. */
  literal = false

  /** Adds a block. Positions from before are no longer good. */
  push(block: string): void {
    this.text = this.position >= this.text.length ? block : this.text.slice(this.position) + block
    this.position = 0
  }

  /** Goes to the next token; NEED_MORE where the blocks so far do not hold the whole of it, and all is as before. */
  next(): typeof NEED_MORE | typeof OPEN | typeof CLOSE | typeof TEXT {
    const { text } = this
    for (;;) {
      const at = this.position
      if (text.charCodeAt(at) !== LT) {
        return this.#textToken(at)
      }
      const second = text.charCodeAt(at + 1)
      if (second === BANG) {
        if (text.startsWith('<!--', at)) {
          if (!this.#skip('-->', at + 4)) {
            return NEED_MORE
          }
          continue
        }
        if (text.startsWith('<![CDATA[', at)) {
          const end = text.indexOf(']]>', at + 9)
          if (end < 0) {
            return this.#wait()
          }
          this.start = at + 9
          this.end = end
          this.literal = true
          this.position = end + 3
          return TEXT
        }
        if (text.length - at < 9) {
          return NEED_MORE
        }
        throw new Refusal(
          'FILE_UNSAFE',
          'The workbook declares a document type of its own, which no spreadsheet program writes. Save it again.',
        )
      }
      if (second === QUESTION) {
        if (!this.#skip('?>', at + 2)) {
          return NEED_MORE
        }
        continue
      }
      return this.#tag(at, second === SLASH)
    }
  }

  /** Value of an attribute of the tag by its name without prefix, entities decoded; null where it has none. */
  attribute(name: string): string | null {
    const { text, end } = this
    let at = this.start
    while (at < end) {
      const equals = text.indexOf('=', at)
      if (equals < 0 || equals >= end) {
        return null
      }
      let open = equals + 1
      while (isSpace(text.charCodeAt(open))) {
        open += 1
      }
      const quote = text[open]
      if (quote !== '"' && quote !== "'") {
        return null
      }
      const close = text.indexOf(quote, open + 1)
      if (close < 0 || close >= end) {
        return null
      }
      const key = text.slice(at, equals).trim()
      if (key === name || (key.endsWith(name) && key.charCodeAt(key.length - name.length - 1) === COLON)) {
        return decodeEntities(text.slice(open + 1, close))
      }
      at = close + 1
    }
    return null
  }

  #textToken(at: number): typeof NEED_MORE | typeof TEXT {
    const { text } = this
    let end = text.indexOf('<', at)
    if (end < 0) {
      if (text.length - at <= XML_TOKEN_LENGTH_MAX) {
        return NEED_MORE
      }
      // A long text is given piece by piece, never with half an entity at the end.
      const half = text.indexOf('&', text.length - 12)
      end = half < 0 ? text.length : half
    }
    this.start = at
    this.end = end
    this.literal = false
    this.position = end
    return TEXT
  }

  #tag(at: number, closing: boolean): typeof NEED_MORE | typeof OPEN | typeof CLOSE {
    const { text } = this
    // A `>` may stand within the quotes of an attribute.
    let end = text.indexOf('>', at)
    for (let from = at; end >= 0; ) {
      const quoteAt = firstQuote(text, from, end)
      if (quoteAt < 0) {
        break
      }
      const close = text.indexOf(text.charAt(quoteAt), quoteAt + 1)
      if (close < 0) {
        return this.#wait()
      }
      from = close + 1
      if (close > end) {
        end = text.indexOf('>', from)
      }
    }
    if (end < 0) {
      return this.#wait()
    }
    let nameStart = at + (closing ? 2 : 1)
    let nameEnd = nameStart
    for (let code = text.charCodeAt(nameEnd); nameEnd < end && code !== SLASH && !isSpace(code); ) {
      nameEnd += 1
      if (code === COLON) {
        nameStart = nameEnd
      }
      code = text.charCodeAt(nameEnd)
    }
    this.name = text.slice(nameStart, nameEnd)
    this.empty = !closing && text.charCodeAt(end - 1) === SLASH
    this.start = nameEnd
    this.end = this.empty ? end - 1 : end
    this.position = end + 1
    return closing ? CLOSE : OPEN
  }

  #skip(what: string, from: number): boolean {
    const end = this.text.indexOf(what, from)
    if (end < 0) {
      this.#wait()
      return false
    }
    this.position = end + what.length
    return true
  }

  #wait(): typeof NEED_MORE {
    if (this.text.length - this.position > XML_TOKEN_LENGTH_MAX) {
      throw new Refusal('FILE_UNREADABLE', 'The workbook is damaged: a tag in it has no end. Save it again.')
    }
    return NEED_MORE
  }
}

/**
 * Texts of a part, in its own encoding, line ends as XML has them (`\n`). They are cut behind a tag wherever there is one:
 * `XmlScanner` then rarely joins texts, and V8 reads a joined one at half the speed.
 */
export async function* decodeXml(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let decoder: TextDecoder | null = null
  let bytesHeld: Uint8Array | null = null
  let returnHeld = false
  const decode = (bytes: Uint8Array, stream: boolean): string => {
    decoder ??= new TextDecoder(xmlEncoding(bytes))
    let text = decoder.decode(bytes, { stream })
    if (returnHeld || text.includes('\r')) {
      text = returnHeld ? `\r${text}` : text
      returnHeld = stream && text.endsWith('\r')
      text = (returnHeld ? text.slice(0, -1) : text).replaceAll(/\r\n?/g, '\n')
    }
    return text
  }
  for await (const block of blocks) {
    const bytes: Uint8Array = bytesHeld === null ? block : Buffer.concat([bytesHeld, block])
    const end = bytes.lastIndexOf(GT) + 1
    bytesHeld = end > 0 && end < bytes.length ? bytes.subarray(end) : null
    yield decode(bytesHeld === null ? bytes : bytes.subarray(0, end), true)
  }
  const last = decode(bytesHeld ?? new Uint8Array(0), false)
  if (last !== '') {
    yield last
  }
}

function xmlEncoding(block: Uint8Array): string {
  const [first, second] = block
  if ((first === 0xff && second === 0xfe) || (first === LT && second === 0)) {
    return 'utf-16le'
  }
  if ((first === 0xfe && second === 0xff) || (first === 0 && second === LT)) {
    return 'utf-16be'
  }
  const head = Buffer.from(block.buffer, block.byteOffset, Math.min(block.byteLength, 200)).toString('latin1')
  const declared = /^(?:ï»¿)?<\?xml[^>]*\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(head)?.[1] ?? 'utf-8'
  try {
    const { encoding } = new TextDecoder(declared)
    // The declaration was read as single bytes, so it cannot be true.
    return encoding.startsWith('utf-16') ? 'utf-8' : encoding
  } catch {
    return 'utf-8'
  }
}

const named: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
])

/** Decodes the five named entities of XML and character numbers; what else looks like an entity stays as it is. */
export function decodeEntities(text: string): string {
  if (!text.includes('&')) {
    return text
  }
  return text.replaceAll(/&(?:#x([0-9a-fA-F]{1,8})|#([0-9]{1,8})|([a-z]{2,4}));/g, (all, hex, decimal, name) => {
    if (typeof name === 'string') {
      return named.get(name) ?? all
    }
    const code = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(decimal)
    return code <= 0x10_ff_ff ? String.fromCodePoint(code) : all
  })
}

/** Decodes `_x000D_`, by which workbooks write what XML cannot hold; `_x005F_` is the underscore of such a text itself. */
export function decodeEscapes(text: string): string {
  if (!text.includes('_x')) {
    return text
  }
  return text.replaceAll(/_x([0-9a-fA-F]{4})_/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function firstQuote(text: string, from: number, end: number): number {
  for (let at = from; at < end; at += 1) {
    const code = text.charCodeAt(at)
    if (code === 34 || code === 39) {
      return at
    }
  }
  return -1
}

function isSpace(code: number): boolean {
  return code === 32 || code === 10 || code === 9 || code === 13
}
