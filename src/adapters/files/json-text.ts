/**
 * JSON between text and values. A number that a double would change (0.10, 1e400, 18 digits) is marked before parsing: it
 * becomes a text that begins with `MARK`, and is written as it stood.
 */
import { randomBytes } from 'node:crypto'
import { isJsonNumber } from './json-walker.js'

/** No text of a file begins so: nobody outside of this process knows it. The first character is none that text holds. */
const MARK = `\uFDD0${randomBytes(12).toString('hex')}`

/** Shorter whole numbers are surely the same as a double. Digits. */
const SAFE_DIGITS = 15

/** Whether the bytes are a number that would not come back from a double as it stands. */
export function needsMark(window: Buffer, from: number, to: number): boolean {
  const digits = window[from] === 0x2d ? from + 1 : from
  let at = digits
  while (at < to && window[at]! >= 0x30 && window[at]! <= 0x39) {
    at += 1
  }
  if (at === to && to - digits <= SAFE_DIGITS && window[digits] !== 0x30) {
    return false
  }
  const text = window.toString('latin1', from, to)
  return isJsonNumber(text) && String(Number(text)) !== text
}

/** The text from `start` to `end` with the numbers marked that stand at `marks`: starts and ends in turn. */
export function markedText(window: Buffer, start: number, end: number, marks: readonly number[]): string {
  if (marks.length === 0) {
    return window.toString('utf8', start, end)
  }
  let text = ''
  let at = start
  for (let index = 0; index < marks.length; index += 2) {
    const from = marks[index]!
    const to = marks[index + 1]!
    text += `${window.toString('utf8', at, from)}"${MARK}${window.toString('latin1', from, to)}"`
    at = to
  }
  return text + window.toString('utf8', at, end)
}

/** Undefined where the text is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** A text as it is, or a marked number as it stood. */
export function unmarked(text: string): string {
  return text.charCodeAt(0) === 0xfdd0 && text.startsWith(MARK) ? text.slice(MARK.length) : text
}

/** JSON of a value in which numbers may be marked. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== 'string') {
      return part
    }
    const text = unmarked(part)
    return text === part ? part : rawJson(text)
  })
}

/** Part of the language since ES2026; not yet in the types. */
const rawJson = (JSON as unknown as { readonly rawJSON: (text: string) => unknown }).rawJSON

/** How much of a broken record is looked at for a reason. UTF-16 code units. */
const REASON_LENGTH = 4096

/** In words why a record is no JSON. */
export function whatIsWrong(text: string): string {
  const bare = text.slice(0, REASON_LENGTH).replaceAll(/"(?:[^"\\]|\\[^])*"/g, '""')
  if (text.trim() === '') {
    return 'Nothing stands between two commas.'
  }
  const word = /(?<![\w$])-?(NaN|Infinity|undefined|None|True|False)(?![\w$])/.exec(bare)?.[1]
  if (word !== undefined) {
    return `${word} is no value of JSON.`
  }
  if (/\/[/*]/.test(bare)) {
    return 'JSON has no comments.'
  }
  if (/,\s*[}\]]/.test(bare)) {
    return 'A comma stands before a closing bracket.'
  }
  if (bare.includes("'")) {
    return 'Texts in JSON stand in double quotes, not in single ones.'
  }
  if (/[{,]\s*[A-Za-z_$]/.test(bare)) {
    return 'Names in JSON stand in double quotes.'
  }
  return `The record is no JSON${placeOf(text)}.`
}

function placeOf(text: string): string {
  try {
    JSON.parse(text)
    return ''
  } catch (error) {
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1]
    if (position === undefined || Number(position) >= text.trimEnd().length) {
      return ': it breaks off'
    }
    const from = Math.max(0, Number(position) - 10)
    const near = text
      .slice(from, from + 20)
      .replaceAll(/\s+/g, ' ')
      .toWellFormed()
    return `: it is broken near ${JSON.stringify(near)}`
  }
}
