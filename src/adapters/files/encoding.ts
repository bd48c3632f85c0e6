/**
 * Finds the encoding of a text from its first bytes: marks and patterns that prove one, then Firefox's detector
 * (chardetng), then how plausible the words are that the encodings of DOS and Mac, which it leaves out, would give.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { charactersOf } from './decode.js'
import type { Encoding } from './detection.js'
import { Utf16Transcoder } from './utf16.js'

/** An encoding with how sure it is, from 0 to 1. */
export interface FoundEncoding {
  readonly encoding: Encoding
  readonly confidence: number
}

/** Also `utf-16` and `utf-32`, where a person does not say the order of bytes: the text's mark decides, or little endian. */
type Said = Encoding

/** Labels beyond those of the WHATWG (which `TextDecoder` knows), without punctuation. */
const LABELS: ReadonlyMap<string, Said> = new Map<string, Said>([
  ['utf16', 'utf-16'],
  ['utf16le', 'utf-16le'],
  ['utf16be', 'utf-16be'],
  ['utf32', 'utf-32'],
  ['ucs2', 'utf-16'],
  ['unicode', 'utf-16'],
  ['ucs4', 'utf-32'],
  ['utf32le', 'utf-32le'],
  ['utf32be', 'utf-32be'],
  ['utf8bom', 'utf-8'],
  ['utf8sig', 'utf-8'],
  ['ansi', 'windows-1252'],
  ['latin1', 'windows-1252'],
  ['mac', 'macintosh'],
  ['macroman', 'macintosh'],
  ['maccyrillic', 'x-mac-cyrillic'],
  ['sjis', 'shift_jis'],
  ['shiftjis', 'shift_jis'],
  ['cp932', 'shift_jis'],
  ['windows31j', 'shift_jis'],
  ['eucjp', 'euc-jp'],
  ['euckr', 'euc-kr'],
  ['cp949', 'euc-kr'],
  ['uhc', 'euc-kr'],
  ['cp936', 'gbk'],
  ['gb2312', 'gbk'],
  ['cp950', 'big5'],
  ['tis620', 'windows-874'],
  ['dos', 'cp850'],
  ['oem', 'cp850'],
  ['cp65001', 'utf-8'],
  ['65001', 'utf-8'],
  ['cp1200', 'utf-16le'],
  ['cp1201', 'utf-16be'],
  ['cp10000', 'macintosh'],
  ['cp20866', 'koi8-r'],
  ['koi8r', 'koi8-r'],
  ['cp21866', 'koi8-u'],
  ['koi8u', 'koi8-u'],
  ['latin9', 'iso-8859-15'],
  ['latin10', 'iso-8859-16'],
  ['iso885916', 'iso-8859-16'],
  ['ms950', 'big5'],
  ['iso2022kr', 'iso-2022-kr'],
])

/** Code pages of DOS that the platform does not read. */
const DOS = ['437', '737', '775', '850', '852', '855', '857', '858', '860', '861', '862', '863', '865', '869', '1125']

/** The encoding that a label means (`latin1`, `CP-1252`, `UTF-16`, `sjis` ...); null for one that is not read. */
export function readEncodingName(label: string): Said | null {
  const plain = label
    .trim()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
  const known = LABELS.get(plain)
  if (known !== undefined) {
    return known
  }
  const page = /^(?:cp|ibm|dos|oem|windows|win)?(\d{3,4})$/.exec(plain)?.[1]
  if (page !== undefined && DOS.includes(page)) {
    return `cp${page}`
  }
  for (const text of [
    label.trim().toLowerCase(),
    plain,
    ...(page === undefined ? [] : [`windows-${page}`, `ibm${page}`]),
  ]) {
    try {
      const { encoding } = new TextDecoder(text)
      return encoding === 'x-user-defined' ? null : encoding
    } catch {
      // The next spelling.
    }
  }
  return null
}

/** `whole`: nothing follows the bytes. `said`: what a person says it is, as `readEncodingName` answers it. */
export function findEncoding(bytes: Buffer, whole: boolean, said: Said | null): FoundEncoding {
  const mark = markedEncoding(bytes)
  if (said !== null) {
    const family = said === 'utf-16' || said === 'utf-32' ? said : null
    const encoding =
      family === null ? said : mark?.startsWith(family) === true ? mark : bytes[0] === 0 ? `${family}be` : `${family}le`
    return { encoding, confidence: 1 }
  }
  if (mark !== null) {
    return { encoding: mark, confidence: 1 }
  }
  const wide = unmarkedUtf32(bytes) ?? unmarkedUtf16(bytes)
  if (wide !== null) {
    return { encoding: wide, confidence: 0.9 }
  }
  if (isAscii(bytes)) {
    if (bytes.includes('\u001b$B', 0, 'latin1') || bytes.includes('\u001b$@', 0, 'latin1')) {
      return { encoding: 'iso-2022-jp', confidence: 0.99 }
    }
    if (bytes.includes('\u001b$)C', 0, 'latin1')) {
      return { encoding: 'iso-2022-kr', confidence: 0.99 }
    }
    // Any encoding would do so far.
    return { encoding: 'utf-8', confidence: whole ? 1 : 0.9 }
  }
  if (isUtf8(whole ? bytes : withoutHalfCharacter(bytes))) {
    return { encoding: 'utf-8', confidence: 0.99 }
  }
  const { good, bad } = sequencesOf(bytes)
  const damaged = { encoding: 'utf-8', confidence: Math.round((good / (good + bad)) * 90) / 100 }
  if (good > bad * 4) {
    return damaged
  }
  const guess = normal(detector()(bytes))
  // Read with one byte for each character, every sequence would be two signs or more that nobody wrote.
  if (charactersOf(guess) !== null && good >= DAMAGED_SEQUENCES_MIN && good >= bad) {
    return damaged
  }
  return legacyEncoding(bytes, guess)
}

function markedEncoding(bytes: Buffer): Encoding | null {
  const mark = bytes.toString('hex', 0, 4)
  if (mark.startsWith('efbbbf')) {
    return 'utf-8'
  }
  if (mark === 'fffe0000' || mark === '0000feff') {
    return mark === 'fffe0000' ? 'utf-32le' : 'utf-32be'
  }
  if (mark === '84319533') {
    return 'gb18030'
  }
  return mark.startsWith('fffe') ? 'utf-16le' : mark.startsWith('feff') ? 'utf-16be' : null
}

/** Characters beyond the first 65,536 code points are rare, so two of four bytes are always zeros. */
function unmarkedUtf32(bytes: Buffer): Encoding | null {
  const count = Math.floor(bytes.length / 4)
  let little = 0
  let big = 0
  for (let at = 0; at + 3 < bytes.length; at += 4) {
    little += bytes[at + 3] === 0 && bytes[at + 2]! <= 0x10 && (bytes[at] !== 0 || bytes[at + 1] !== 0) ? 1 : 0
    big += bytes[at] === 0 && bytes[at + 1]! <= 0x10 && (bytes[at + 2] !== 0 || bytes[at + 3] !== 0) ? 1 : 0
  }
  if (count === 0 || Math.max(little, big) < count * 0.98) {
    return null
  }
  return little >= big ? 'utf-32le' : 'utf-32be'
}

/** The ASCII characters of a CSV file (its delimiters and line ends, at least) have a zero as one half in UTF-16. */
function unmarkedUtf16(bytes: Buffer): Encoding | null {
  let even = 0
  let odd = 0
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes[at] === 0) {
      even += 1 - (at % 2)
      odd += at % 2
    }
  }
  if (Math.max(even, odd) <= bytes.length * 0.015 || Math.min(even, odd) * 10 >= Math.max(even, odd)) {
    return null
  }
  const encoding = odd > even ? 'utf-16le' : 'utf-16be'
  const text = new Utf16Transcoder(encoding === 'utf-16be').push(bytes, false)
  // Pictures and sounds have zeros like that too, but no whole characters and no lines.
  return isUtf8(text) && text.includes(10) && text.indexOf(0) < 0 ? encoding : null
}

/** A character that the end of the head cuts in two is no fault of the file. */
function withoutHalfCharacter(bytes: Buffer): Buffer {
  let end = bytes.length
  while (end > 0 && bytes.length - end < 3 && (bytes[end - 1]! & 0xc0) === 0x80) {
    end -= 1
  }
  return bytes.subarray(0, end > 0 && bytes[end - 1]! >= 0xc0 ? end - 1 : bytes.length)
}

/** Fewer sequences of UTF-8 may be chance. */
const DAMAGED_SEQUENCES_MIN = 2

/** Sequences of UTF-8 do not come about by chance: a few bad bytes among many of them are damage, no other encoding. */
function sequencesOf(bytes: Buffer): { readonly good: number; readonly bad: number } {
  let good = 0
  let bad = 0
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at]!
    const length =
      byte < 0x80
        ? 1
        : byte >= 0xc2 && byte < 0xe0
          ? 2
          : byte >= 0xe0 && byte < 0xf0
            ? 3
            : byte >= 0xf0 && byte < 0xf5
              ? 4
              : 0
    if (length === 1) {
      at += 1
    } else if (length > 1 && isUtf8(bytes.subarray(at, at + length))) {
      good += 1
      at += length
    } else {
      bad += 1
      at += 1
    }
  }
  return { good, bad }
}

// ------------------------------------------------------------------------------------------- legacy encodings

/** Encodings that the detector leaves out by design, tried beside its answer where words tell. */
const RIVALS: readonly Encoding[] = [
  'macintosh',
  'cp437',
  'cp850',
  'cp852',
  'cp855',
  'ibm866',
  'x-mac-cyrillic',
  'windows-1251',
  'koi8-r',
  'iso-8859-5',
]

/** How much more plausible another encoding has to be than the detector's answer. Points per character that differs. */
const MARGIN = 0.4

function legacyEncoding(bytes: Buffer, guess: Encoding): FoundEncoding {
  if (charactersOf(guess) === null) {
    const text = new TextDecoder(guess).decode(bytes)
    const bad = text.split('\uFFFD').length - 1
    const wide = (text.match(/[^\0-\x7f\uFFFD]/g) ?? []).length
    if (bad <= wide * 0.02 + 1) {
      return { encoding: guess, confidence: bad > 1 ? 0.7 : 0.9 }
    }
  }
  const own: Encoding = charactersOf(guess) === null ? 'windows-1252' : guess
  const words = highWords(bytes)
  let best = { encoding: own, points: 0 }
  // Hungarian passes for a western language with odd accents.
  for (const rival of own === 'windows-1252' ? [...RIVALS, 'windows-1250'] : RIVALS) {
    const { points, characters } = advantage(words, rival, own)
    if (points > best.points && points > characters * MARGIN) {
      best = { encoding: rival, points }
    }
  }
  return { encoding: best.encoding, confidence: best.encoding === own ? 0.8 : 0.7 }
}

/** Latin-1 as browsers and spreadsheets read it, and other names that mean the same. */
function normal(name: string): Encoding {
  const label = name.toLowerCase()
  // A superset in practice; the detector knows no KOI8-R.
  return label === 'iso-8859-1' ? 'windows-1252' : label
}

/** Runs of bytes around bytes above ASCII, with what stands before and behind: what words there are to judge by. */
function highWords(bytes: Buffer): readonly Buffer[] {
  const words: Buffer[] = []
  for (let at = 0; at < bytes.length && words.length < 4000; at += 1) {
    if (bytes[at]! < 0x80) {
      continue
    }
    let from = at
    while (from > 0 && isLetterByte(bytes[from - 1]!)) {
      from -= 1
    }
    let to = at + 1
    while (to < bytes.length && isLetterByte(bytes[to]!)) {
      to += 1
    }
    words.push(bytes.subarray(from, to))
    at = to
  }
  return words
}

function isLetterByte(byte: number): boolean {
  return byte >= 0x80 || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
}

/** Letters of languages written with Cyrillic, by how often they occur per thousand (Russian, with Ukrainian's own). */
const CYRILLIC: ReadonlyMap<string, number> = new Map(
  Object.entries({
    о: 110,
    е: 85,
    а: 80,
    и: 74,
    н: 67,
    т: 63,
    с: 55,
    р: 47,
    в: 45,
    л: 44,
    к: 35,
    м: 32,
    д: 30,
    п: 28,
    у: 26,
    я: 20,
    ы: 19,
    ь: 17,
    г: 17,
    з: 16,
    б: 16,
    ч: 14,
    й: 12,
    х: 10,
    ж: 9,
    ш: 7,
    ю: 6,
    ц: 5,
    щ: 4,
    э: 3,
    ф: 3,
    ъ: 3,
    ё: 1,
    і: 20,
    ї: 5,
    є: 4,
  }),
)

const USUAL = new Set('éèàùâêîôûçëïüöäßñáíóúãõåæøœòìšžčřýěůťďňłąęśżźćńőűăâîșțşţğıđ¿¡')

/** How much more plausible the words are in `rival` than in `own`, over the characters that the two read differently. */
function advantage(words: readonly Buffer[], rival: Encoding, own: Encoding): { points: number; characters: number } {
  const theirs = charactersOf(rival) ?? []
  const ours = charactersOf(own) ?? []
  let points = 0
  let characters = 0
  for (const word of words) {
    for (let at = 0; at < word.length; at += 1) {
      if (theirs[word[at]!] !== ours[word[at]!]) {
        characters += 1
        points += pointsAt(word, at, theirs) - pointsAt(word, at, ours)
      }
    }
  }
  return { points, characters }
}

function pointsAt(word: Buffer, at: number, characters: readonly string[]): number {
  return pointsOf(
    characters[word[at]!] ?? '',
    at === 0 ? '' : (characters[word[at - 1]!] ?? ''),
    at + 1 === word.length ? '' : (characters[word[at + 1]!] ?? ''),
  )
}

/** From -3 (nonsense) to about 1 (as people write). */
function pointsOf(character: string, before: string, behind: string): number {
  if (character === '' || (character >= '\x7f' && character <= '\x9f')) {
    return -3
  }
  if (!/\p{L}/u.test(character)) {
    // Typographic marks stand beside words, signs by themselves; nothing of the kind stands within one.
    const within = /\p{L}/u.test(before) && /\p{L}/u.test(behind)
    return within ? (/[’'·-]/.test(character) ? 0.5 : -2) : /[\u2500-\u259f\u2320\u2321]/.test(character) ? -1.5 : 0
  }
  const lower = character.toLowerCase()
  const upper = lower !== character
  const latin = /\p{Script=Latin}/u.test(character)
  let points = 0
  const share = CYRILLIC.get(lower)
  if (share !== undefined) {
    points = 0.4 + Math.log2(share / 30) / 5
  } else {
    points = !latin ? 0.3 : lower === 'õ' && behind !== 'e' ? 0 : USUAL.has(lower) ? 0.8 : -0.2
  }
  if (/\p{L}/u.test(before)) {
    if (/\p{Script=Latin}/u.test(before) !== latin) {
      points -= 2
    }
    if (upper && before !== before.toUpperCase()) {
      points -= 2
    }
  } else if (!upper && /\p{Lu}/u.test(behind)) {
    points -= 1.5
  }
  if (latin && before > '\x7f' && behind > '\x7f') {
    // Words of Latin letters have accents here and there, not throughout.
    points -= 1
  }
  if (latin && upper && /\p{Ll}/u.test(behind) && /\p{Ll}/u.test(before)) {
    points -= 1
  }
  return points
}

// ------------------------------------------------------------------------------------------- chardetng

/** The part of the global that is used: its types come with those of browsers only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

interface DetectorModule {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly __wbindgen_add_to_stack_pointer: (bytes: number) => number
  readonly __wbindgen_malloc: (bytes: number) => number
  readonly __wbindgen_free: (pointer: number, bytes: number) => void
  readonly detect: (answer: number, pointer: number, bytes: number) => void
}

let loaded: ((bytes: Uint8Array) => string) | null = null

/**
 * The detector, made by hand: the package's own entry loads WebAssembly as a module, which Node calls an experiment at
 * every start.
 */
function detector(): (bytes: Uint8Array) => string {
  loaded ??= load()
  return loaded
}

function load(): (bytes: Uint8Array) => string {
  const path = createRequire(import.meta.url).resolve('chardetng-wasm/dist/chardetng_wasm_bg.wasm')
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path)), {
    './chardetng_wasm_bg.js': {
      __wbindgen_throw: () => {
        throw new Error('the encoding detector failed')
      },
    },
  })
  const wasm = exports as DetectorModule
  return (bytes) => {
    const answer = wasm.__wbindgen_add_to_stack_pointer(-16)
    try {
      const pointer = wasm.__wbindgen_malloc(bytes.length)
      new Uint8Array(wasm.memory.buffer).set(bytes, pointer)
      wasm.detect(answer, pointer, bytes.length)
      const view = new DataView(wasm.memory.buffer)
      const from = view.getInt32(answer, true)
      const length = view.getInt32(answer + 4, true)
      const name = Buffer.from(wasm.memory.buffer, from, length).toString('latin1')
      wasm.__wbindgen_free(from, length)
      return name
    } finally {
      wasm.__wbindgen_add_to_stack_pointer(16)
    }
  }
}
