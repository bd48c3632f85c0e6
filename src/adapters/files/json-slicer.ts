/** Cuts JSON into its records as bytes come in, so that each can be parsed by the platform: that is fast and takes the memory of a few. */
import { isUtf8 } from 'node:buffer'
import { Refusal } from '../../errors.js'
import { JSON_DEPTH_MAX, ROW_BYTES_MAX, SOURCE_GROUP_ROWS_MAX } from '../../limits.js'
import type { RowFault } from '../source.js'
import { markedText, needsMark, parseJson, whatIsWrong } from './json-text.js'
import { isBlank, type JsonKind, JsonWalker } from './json-walker.js'

/** One value of the array of records. */
export interface JsonRecord {
  /** From 1. */
  readonly number: number
  /** As `JSON.parse` gives it, with marked numbers (see json-text.ts); null for a record with a fault. */
  readonly value: unknown
  /** Whether escapes (\\u0000) stand in it or near it, which may stand for what is no text. */
  readonly isEscaped: boolean
  readonly fault: RowFault | null
}

/** For tests; the defaults are those of limits.ts. */
export interface JsonOptions {
  readonly groupRows?: number
  readonly rowBytesMax?: number
}

interface Piece {
  readonly start: number
  readonly end: number
  readonly fault: RowFault | null
  /** Where its numbers stand that must be marked: starts and ends in turn. */
  readonly marks: readonly number[]
}

const NO_MARKS: readonly number[] = []

/** Records of one file that were broken so that the next one had to be looked for; with more the file is refused. */
const RESYNCS_MAX = 100

/** With more broken records than this, and than good ones, a file is refused: telling why each is broken takes its time. */
const BROKEN_RECORDS_MAX = 10_000

/** How many records are looked at to learn how the lines of records begin. */
const INDENT_RECORDS = 10

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const LF = 0x0a
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
/** Separates values in "JSON text sequences", RFC 7464. */
const RECORD_SEPARATOR = 0x1e

/**
 * Cuts records out of pushed bytes. Call `next` after each `push` until it is empty. Throws `Refusal`: FILE_UNREADABLE for
 * JSON that is broken around its records, FILE_TYPE_UNSUPPORTED where the path leads to no records.
 */
export class JsonSlicer {
  readonly #path: string
  readonly #groupRows: number
  readonly #rowBytesMax: number
  readonly #walker: JsonWalker
  #kind: JsonKind | null = null
  #state: 'start' | 'before' | 'records' | 'after' = 'start'
  /** An array's values; objects one behind another; one object within others. */
  #mode: 'array' | 'sequence' | 'one' = 'array'
  #window: Buffer = Buffer.alloc(0)
  /** Bytes before this are done with. */
  #from = 0
  #to = 0
  /** Place of `#window[0]` in the file. */
  #offset = 0
  /** How far was scanned. */
  #at = 0
  #depth = 0
  #inText = false
  /** Where the record in hand starts, with the blanks before it, and its first bracket; -1 where there was none yet. */
  #start = 0
  #open = -1
  /** Whether anything but blanks was seen in it, whether its value has ended, and whether it is being passed over. */
  #filled = false
  #ended = false
  #skipping = false
  #tooDeep = false
  #marks: number[] = []
  #pieces: Piece[] = []
  #number = 0
  #resyncs = 0
  #failure: Error | null = null
  #brokenRecords = 0
  /** A line end and what stands behind it up to the bracket of a record. */
  #lineStart: Buffer | null = null

  constructor(path: string, options: JsonOptions = {}) {
    this.#path = path
    this.#groupRows = options.groupRows ?? SOURCE_GROUP_ROWS_MAX
    this.#rowBytesMax = options.rowBytesMax ?? ROW_BYTES_MAX
    this.#walker = new JsonWalker((at, kind) => {
      if (this.#kind === null && at === path) {
        this.#kind = kind
        // A single value is passed over, to tell a broken file from one without records.
        return kind !== 'scalar'
      }
      return false
    })
  }

  /** Bytes up to the end of the last record that was given. */
  get position(): number {
    return this.#offset + this.#from
  }

  push(chunk: Uint8Array): void {
    const held = this.#to - this.#from
    if (this.#to + chunk.length > this.#window.length) {
      const room = held + chunk.length
      const window = room > this.#window.length ? Buffer.allocUnsafeSlow(room * 2) : this.#window
      this.#window.copy(window, 0, this.#from, this.#to)
      this.#window = window
      this.#offset += this.#from
      this.#at -= this.#from
      this.#start -= this.#from
      this.#open = this.#open < 0 ? -1 : this.#open - this.#from
      this.#marks = this.#marks.map((mark) => mark - this.#from)
      this.#from = 0
      this.#to = held
    }
    this.#window.set(chunk, this.#to)
    this.#to += chunk.length
  }

  /** The next records; empty where more bytes are needed or, with `eof`, where no more come. */
  next(eof: boolean): readonly JsonRecord[] {
    if (this.#state === 'start' && !this.#skipByteOrderMark(eof)) {
      return []
    }
    if (this.#state === 'before' && !this.#enter(eof)) {
      return []
    }
    if (this.#state === 'records') {
      this.#scan(eof)
      const records = this.#parse()
      if (records.length > 0 || this.#state === 'records') {
        return records
      }
    }
    this.#walker.offset = this.#offset
    this.#from = this.#walker.walk(this.#window, this.#from, this.#to, eof).at
    return []
  }

  #skipByteOrderMark(eof: boolean): boolean {
    const held = this.#to - this.#from
    if (held < 3 && !eof) {
      return false
    }
    const at = this.#from
    if (held >= 3 && this.#window[at] === 0xef && this.#window[at + 1] === 0xbb && this.#window[at + 2] === 0xbf) {
      this.#from += 3
    }
    this.#state = 'before'
    return true
  }

  /** Walks to the records; true when they begin. */
  #enter(eof: boolean): boolean {
    while (this.#path === '' && this.#from < this.#to && this.#window[this.#from] === RECORD_SEPARATOR) {
      this.#from += 1
    }
    this.#walker.offset = this.#offset
    const { at, wanted } = this.#walker.walk(this.#window, this.#from, this.#to, eof)
    this.#from = at
    if (!wanted) {
      if (eof) {
        if (this.#kind === 'scalar') {
          throw noRecords(this.#path)
        }
        throw new Refusal('FILE_TYPE_UNSUPPORTED', `The JSON holds nothing named "${this.#path}".`)
      }
      return false
    }
    this.#mode = this.#kind === 'array' ? 'array' : this.#path === '' ? 'sequence' : 'one'
    if (this.#mode === 'array') {
      this.#from += 1
    }
    this.#state = 'records'
    this.#at = this.#from
    this.#start = this.#from
    return true
  }

  /** Looks for the ends of records, up to a group of them. */
  #scan(eof: boolean): void {
    const window = this.#window
    const to = this.#to
    if (this.#failure !== null) {
      throw this.#failure
    }
    for (;;) {
      try {
        this.#scanWindow(window, to, eof)
      } catch (error) {
        if (this.#pieces.length === 0) {
          throw error
        }
        // The records before it are given first.
        this.#failure = error as Error
      }
      if (this.#pieces.length > 0 || this.#state !== 'records') {
        return
      }
      if (this.#skipping) {
        this.#passOver()
      } else if (this.#at - this.#start > this.#rowBytesMax) {
        if (!this.#resync()) {
          this.#skipping = true
          this.#passOver()
        }
        continue
      }
      if (!eof) {
        return
      }
      if (this.#mode === 'sequence' && !this.#filled && !this.#inText) {
        this.#from = to
        this.#state = 'after'
        this.#walker.passValue()
        return
      }
      if (!this.#filled || this.#skipping || !this.#resync()) {
        throw this.#broken(to, 'the file breaks off before the end of its records')
      }
    }
  }

  #passOver(): void {
    this.#marks = []
    this.#start = this.#at
    this.#from = this.#at
  }

  #scanWindow(window: Buffer, to: number, eof: boolean): void {
    let at = this.#at
    let depth = this.#depth
    let inText = this.#inText
    // Where the record in hand, or one before it, becomes too large.
    let most = this.#start + this.#rowBytesMax
    outer: while (at < to && this.#pieces.length < this.#groupRows) {
      if (inText) {
        while (at < to) {
          const byte = window[at]!
          at += 1
          if (byte === QUOTE) {
            inText = false
            continue outer
          }
          if (byte === BACKSLASH) {
            if (at >= to) {
              at -= 1
              break outer
            }
            at += 1
          } else if (byte === LF && this.#lineStart !== null && this.#isWithin(at)) {
            const found = startsWith(window, at - 1, to, this.#lineStart)
            if (found === null && !eof) {
              at -= 1
              break outer
            }
            if (found === true) {
              this.#finish(at - 1, lost('a quote is missing in it'))
              at += this.#lineStart.length - 2
              this.#start = at
              inText = false
              depth = 0
              continue outer
            }
          }
        }
        break
      }
      if (at > most && !this.#skipping) {
        most = this.#start + this.#rowBytesMax
        if (at > most) {
          break
        }
      }
      const byte = window[at]!
      switch (byte) {
        case QUOTE:
          this.#filled = true
          inText = true
          at += 1
          break
        case OPEN_OBJECT:
        case OPEN_ARRAY:
          if (depth === 0) {
            if (this.#ended) {
              this.#finish(at, this.#mode === 'array' ? unparsable('No comma stands behind the record.') : null)
              this.#start = at
            }
            this.#open = at
            this.#filled = true
            if (this.#lineStart === null && this.#number + this.#pieces.length < INDENT_RECORDS) {
              this.#lineStart = lineStartOf(window, this.#start, at)
            }
          }
          depth += 1
          this.#tooDeep ||= depth > JSON_DEPTH_MAX
          at += 1
          break
        case CLOSE_OBJECT:
        case CLOSE_ARRAY:
          if (depth > 0) {
            depth -= 1
            at += 1
            if (depth === 0) {
              this.#ended = true
              if (this.#mode !== 'array') {
                this.#finish(at, null)
                this.#start = at
                if (this.#mode === 'one') {
                  this.#leave(at)
                  break outer
                }
              }
            }
          } else if (byte === CLOSE_ARRAY && this.#mode === 'array') {
            if (this.#filled) {
              this.#finish(at, null)
            } else if (this.#number + this.#pieces.length > 0) {
              this.#finish(at, unparsable('A comma stands before the end of the records, with no record behind it.'))
            }
            this.#leave(at + 1)
            at += 1
            break outer
          } else {
            this.#junk(at)
            at += 1
          }
          break
        case COMMA:
          if (depth === 0) {
            this.#junk(at, this.#mode === 'array')
            this.#finish(at, this.#filled ? null : unparsable('Nothing stands between two commas.'))
            this.#start = at + 1
          }
          at += 1
          break
        default:
          if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
            if (depth === 0) {
              this.#junk(at)
            }
            const end = numberEnd(window, at, to)
            if (end === to && !eof && end - at < NUMBER_BYTES_MAX) {
              break outer
            }
            if (needsMark(window, at, end)) {
              let next = end
              while (next < to && isBlank(window[next]!)) {
                next += 1
              }
              if (next === to && !eof) {
                break outer
              }
              // A number in the place of a name stays as it is, and is refused.
              if (window[next] !== 0x3a) {
                this.#marks.push(at, end)
              }
            }
            at = end
          } else {
            if (depth === 0 && !isBlank(byte)) {
              this.#junk(at)
            }
            at += 1
          }
      }
    }
    this.#at = at
    this.#depth = depth
    this.#inText = inText
  }

  /** Whether the record in hand is no larger than may be, up to here. */
  #isWithin(at: number): boolean {
    return !this.#skipping && at - this.#start <= this.#rowBytesMax
  }

  /** Something that is no object or array stands among records. It makes its record a broken one, or ends the file. */
  #junk(at: number, isAllowed = this.#mode === 'array'): void {
    if (this.#mode === 'sequence' && this.#window[at] === RECORD_SEPARATOR) {
      return
    }
    if (!isAllowed) {
      throw this.#broken(at, 'something stands behind the end of a record')
    }
    this.#filled ||= this.#window[at] !== COMMA
  }

  #finish(end: number, fault: RowFault | null): void {
    const marks = this.#marks.length === 0 ? NO_MARKS : this.#marks
    this.#pieces.push({
      start: this.#start,
      end,
      fault:
        fault ??
        (this.#skipping || end - this.#start > this.#rowBytesMax
          ? { code: 'ROW_TOO_LARGE', message: `The record has more than ${this.#rowBytesMax} bytes.` }
          : this.#tooDeep
            ? unparsable(`Brackets stand in brackets in it, more than ${JSON_DEPTH_MAX} deep.`)
            : null),
      marks,
    })
    this.#open = -1
    this.#filled = false
    this.#ended = false
    this.#skipping = false
    this.#tooDeep = false
    if (marks !== NO_MARKS) {
      this.#marks = []
    }
  }

  #leave(at: number): void {
    this.#start = at
    if (this.#pieces.length === 0) {
      this.#from = at
    }
    this.#state = 'after'
    this.#walker.passValue()
  }

  /** Gives up the record in hand and goes on at the next line that begins as records do; false where none is there. */
  #resync(): boolean {
    if (this.#lineStart === null || this.#open < 0) {
      return false
    }
    const found = this.#window.indexOf(this.#lineStart, this.#open)
    if (found < 0 || found + this.#lineStart.length > this.#to || !this.#isWithin(found + this.#lineStart.length)) {
      return false
    }
    this.#resyncs += 1
    if (this.#resyncs > RESYNCS_MAX) {
      throw this.#broken(this.#open, 'too many records have no end')
    }
    this.#marks = []
    this.#finish(found, lost('a bracket or quote is missing in it'))
    this.#at = found + this.#lineStart.length - 1
    this.#start = this.#at
    this.#depth = 0
    this.#inText = false
    return true
  }

  #parse(): readonly JsonRecord[] {
    const pieces = this.#pieces
    const first = pieces[0]
    const last = pieces.at(-1)
    if (first === undefined || last === undefined) {
      return []
    }
    this.#pieces = []
    const values = pieces.every(({ fault }) => fault === null) ? this.#parseTogether(pieces, first, last) : null
    const isEscaped = this.#window.subarray(first.start, last.end).includes('\\u')
    const records = pieces.map(
      (piece, index): JsonRecord =>
        values === null
          ? this.#parseOne(piece, this.#number + index + 1)
          : { number: this.#number + index + 1, value: values[index], isEscaped, fault: null },
    )
    this.#number += pieces.length
    this.#from = this.#start
    if (values === null) {
      this.#brokenRecords += records.filter(({ fault }) => fault !== null).length
      if (this.#brokenRecords > BROKEN_RECORDS_MAX && this.#brokenRecords * 2 > this.#number) {
        this.#failure ??= this.#broken(this.#from, 'most records up to here are broken')
      }
    }
    return records
  }

  /** Many at a time is faster than one by one; null where one of them is broken. */
  #parseTogether(pieces: readonly Piece[], first: Piece, last: Piece): readonly unknown[] | null {
    if (!isUtf8(this.#window.subarray(first.start, last.end))) {
      return null
    }
    const text =
      this.#mode === 'array'
        ? markedText(
            this.#window,
            first.start,
            last.end,
            pieces.flatMap(({ marks }) => marks),
          )
        : pieces.map(({ start, end, marks }) => markedText(this.#window, this.#bare(start), end, marks)).join(',')
    const values = parseJson(`[${text}]`)
    return Array.isArray(values) && values.length === pieces.length ? (values as unknown[]) : null
  }

  #parseOne({ start, end, fault, marks }: Piece, number: number): JsonRecord {
    if (fault !== null) {
      return { number, value: null, isEscaped: false, fault }
    }
    const bytes = this.#window.subarray(start, end)
    if (!isUtf8(bytes)) {
      const message = 'The record holds bytes that do not fit the encoding of the file.'
      return { number, value: null, isEscaped: false, fault: { code: 'BAD_ENCODING', message } }
    }
    const value = parseJson(markedText(this.#window, this.#bare(start), end, marks))
    return value === undefined
      ? { number, value: null, isEscaped: false, fault: unparsable(whatIsWrong(bytes.toString('utf8'))) }
      : { number, value, isEscaped: true, fault: null }
  }

  #bare(start: number): number {
    let at = start
    while (this.#mode === 'sequence' && (this.#window[at] === RECORD_SEPARATOR || isBlank(this.#window[at]!))) {
      at += 1
    }
    return at
  }

  #broken(at: number, what: string): Refusal {
    const number = this.#number + this.#pieces.length + 1
    return new Refusal(
      'FILE_UNREADABLE',
      `The JSON is broken in row ${number}, at byte ${this.#offset + at + 1}: ${what}.`,
    )
  }
}

/** Longer numbers are broken. Bytes. */
const NUMBER_BYTES_MAX = 64 * 1024

function numberEnd(window: Buffer, at: number, to: number): number {
  const most = Math.min(to, at + NUMBER_BYTES_MAX)
  let end = at + 1
  while (end < most) {
    const byte = window[end]!
    if ((byte < 0x30 || byte > 0x39) && byte !== 0x2e && (byte | 0x20) !== 0x65 && byte !== 0x2b && byte !== 0x2d) {
      break
    }
    end += 1
  }
  return end
}

/** Whether `part` stands at `at`; null where more bytes are needed to tell. */
function startsWith(window: Buffer, at: number, to: number, part: Buffer): boolean | null {
  for (let index = 0; index < part.length; index += 1) {
    if (at + index >= to) {
      return null
    }
    if (window[at + index] !== part[index]) {
      return false
    }
  }
  return true
}

function lineStartOf(window: Buffer, from: number, at: number): Buffer | null {
  const end = window.subarray(from, at).lastIndexOf(LF)
  return end < 0 ? null : Buffer.from(window.subarray(from + end, at + 1))
}

function unparsable(message: string): RowFault {
  return { code: 'UNPARSABLE_ROW', message }
}

function lost(what: string): RowFault {
  return unparsable(`The record has no end: ${what}.`)
}

function noRecords(path: string): Refusal {
  const where = path === '' ? 'The JSON' : `"${path}" in the JSON`
  return new Refusal(
    'FILE_TYPE_UNSUPPORTED',
    `${where} holds a single value and no records. Records are objects in an array, e.g. [{"name": "Ada"}].`,
  )
}
