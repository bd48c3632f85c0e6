/** Walks through JSON that stands around records: token by token, strictly, in as much memory as the longest token. */
import { Refusal } from '../../errors.js'
import { JSON_DEPTH_MAX, ROW_BYTES_MAX } from '../../limits.js'

/** What a value is, by its first character. */
export type JsonKind = 'array' | 'object' | 'scalar'

/** Told of each value that stands in objects alone. `at` is where it starts. True: the walk stops in front of it. */
export type OnValue = (path: string, kind: JsonKind, at: number) => boolean

interface Container {
  readonly isArray: boolean
  /** Dotted names up to here; null within arrays, where values have no names. */
  readonly path: string | null
  readonly start: number
}

type Expected = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'colon' | 'comma-or-end' | 'nothing'

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/

/** Whether the text is a number as JSON writes it. */
export function isJsonNumber(text: string): boolean {
  return NUMBER.test(text)
}

/** A validator of JSON that can be stopped at a value and told to go on behind it. Throws `Refusal` FILE_UNREADABLE. */
export class JsonWalker {
  readonly #onValue: OnValue
  readonly #onEnd: (path: string | null, start: number, end: number) => void
  readonly #stack: Container[] = []
  #expected: Expected = 'value'
  #path: string | null = ''
  /** Place of `window[0]` in the file, in bytes; the caller keeps it. */
  offset = 0

  constructor(onValue: OnValue, onEnd: (path: string | null, start: number, end: number) => void = () => undefined) {
    this.#onValue = onValue
    this.#onEnd = onEnd
  }

  /** Whether a whole value is behind us. */
  get isDone(): boolean {
    return this.#expected === 'nothing'
  }

  /** The value in front of which the walk stopped was read by someone else. */
  passValue(): void {
    this.#expected = this.#stack.length === 0 ? 'nothing' : 'comma-or-end'
  }

  /**
   * Walks on from `from`; answers where it stopped: in front of a value that `onValue` wanted (`wanted`), or where further
   * bytes are needed. With `eof` all must be there.
   */
  walk(window: Buffer, from: number, to: number, eof: boolean): { readonly at: number; readonly wanted: boolean } {
    let at = from
    for (;;) {
      while (at < to && isBlank(window[at]!)) {
        at += 1
      }
      if (at >= to) {
        if (eof && !this.isDone) {
          throw this.#refusal(at, 'the file ends here, but a bracket before is still open')
        }
        return { at, wanted: false }
      }
      const byte = window[at]!
      const end = tokenEnd(window, at, to)
      if (end > to) {
        if (eof) {
          throw this.#refusal(at, 'the file ends within a text')
        }
        if (to - at > ROW_BYTES_MAX) {
          throw this.#refusal(at, `a text is longer than ${ROW_BYTES_MAX} bytes`)
        }
        return { at, wanted: false }
      }
      if (end === to && !eof && isWordByte(byte)) {
        return { at, wanted: false }
      }
      if (this.#expected === 'nothing') {
        throw this.#refusal(at, 'something stands behind the end of the data')
      }
      if (this.#isValue(byte)) {
        const kind = byte === 0x5b ? 'array' : byte === 0x7b ? 'object' : 'scalar'
        if (this.#path !== null && this.#onValue(this.#path, kind, this.offset + at)) {
          return { at, wanted: true }
        }
      }
      this.#take(window, at, end)
      at = end
    }
  }

  #isValue(byte: number): boolean {
    return (
      (this.#expected === 'value' || this.#expected === 'value-or-end') &&
      byte !== 0x5d &&
      byte !== 0x7d &&
      byte !== 0x2c &&
      byte !== 0x3a
    )
  }

  #take(window: Buffer, at: number, end: number): void {
    const byte = window[at]!
    const top = this.#stack.at(-1)
    if (byte === 0x5d || byte === 0x7d) {
      const isArray = byte === 0x5d
      const mayEnd = this.#expected === 'comma-or-end' || this.#expected === (isArray ? 'value-or-end' : 'key-or-end')
      if (top === undefined || top.isArray !== isArray || !mayEnd) {
        throw this.#refusal(at, `a "${isArray ? ']' : '}'}" stands where none belongs`)
      }
      this.#stack.pop()
      this.#onEnd(top.path, top.start, this.offset + end)
      this.passValue()
      return
    }
    if (byte === 0x2c) {
      if (this.#expected !== 'comma-or-end' || top === undefined) {
        throw this.#refusal(at, 'a comma stands where none belongs')
      }
      this.#path = null
      this.#expected = top.isArray ? 'value' : 'key'
      return
    }
    if (byte === 0x3a) {
      if (this.#expected !== 'colon') {
        throw this.#refusal(at, 'a colon stands where none belongs')
      }
      this.#expected = 'value'
      return
    }
    if (this.#expected === 'key' || this.#expected === 'key-or-end') {
      if (byte !== 0x22) {
        throw this.#refusal(at, 'a name in double quotes is missing')
      }
      const name = this.#scalar(window, at, end) as string
      const above = top?.path ?? null
      this.#path = above === null ? null : above === '' ? name : `${above}.${name}`
      this.#expected = 'colon'
      return
    }
    if (this.#expected === 'colon' || this.#expected === 'comma-or-end') {
      throw this.#refusal(at, `a ${this.#expected === 'colon' ? 'colon' : 'comma'} is missing`)
    }
    if (byte === 0x5b || byte === 0x7b) {
      if (this.#stack.length >= JSON_DEPTH_MAX) {
        throw this.#refusal(at, `brackets stand in brackets, more than ${JSON_DEPTH_MAX} deep`)
      }
      const isArray = byte === 0x5b
      this.#stack.push({ isArray, path: this.#path, start: this.offset + at })
      this.#expected = isArray ? 'value-or-end' : 'key-or-end'
      if (isArray) {
        this.#path = null
      }
      return
    }
    this.#scalar(window, at, end)
    this.passValue()
  }

  #scalar(window: Buffer, at: number, end: number): unknown {
    const text = window.toString('utf8', at, end)
    try {
      return JSON.parse(text)
    } catch {
      const shown = text.length > 20 ? `${text.slice(0, 20).toWellFormed()}...` : text.toWellFormed()
      throw this.#refusal(at, `${JSON.stringify(shown)} is no value of JSON`)
    }
  }

  #refusal(at: number, what: string): Refusal {
    return new Refusal('FILE_UNREADABLE', `The JSON is broken at byte ${this.offset + at + 1}: ${what}.`)
  }
}

/** Behind the token that starts at `at`; above `to` where a text has no end. */
function tokenEnd(window: Buffer, at: number, to: number): number {
  const byte = window[at]!
  if (byte === 0x22) {
    for (let end = at + 1; end < to; end += 1) {
      const next = window[end]!
      if (next === 0x22) {
        return end + 1
      }
      if (next === 0x5c) {
        end += 1
      }
    }
    return to + 1
  }
  let end = at + 1
  if (isWordByte(byte)) {
    while (end < to && end - at < WORD_BYTES_MAX && isWordByte(window[end]!)) {
      end += 1
    }
  }
  return end
}

/** Longer numbers are cut, and broken. Bytes. */
const WORD_BYTES_MAX = 4096

/** Neither a bracket nor a comma, colon, quote or space. */
function isWordByte(byte: number): boolean {
  return (
    byte > 0x20 &&
    byte !== 0x22 &&
    byte !== 0x2c &&
    byte !== 0x3a &&
    byte !== 0x5b &&
    byte !== 0x5d &&
    byte !== 0x7b &&
    byte !== 0x7d
  )
}

/** The four characters that may stand between tokens. */
export function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}
