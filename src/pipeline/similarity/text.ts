/** Texts as they are compared: folded, and how alike two of them are. Linear in memory, quadratic in short texts only. */

/** Longer texts are cut before they are compared. UTF-16 code units. */
const COMPARED_LENGTH = 60

/** Letters that Unicode does not take apart. */
const letters: Readonly<Record<string, string>> = {
  ß: 'ss',
  ł: 'l',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  æ: 'ae',
  œ: 'oe',
  ı: 'i',
}

/** Lower case, without accents, everything that is no letter or digit as one blank. */
export function fold(text: string | null | undefined): string {
  if (text === null || text === undefined || text === '') {
    return ''
  }
  const cut = text.length > COMPARED_LENGTH * 4 ? text.slice(0, COMPARED_LENGTH * 4) : text
  // Most texts are plain ASCII, where the long way would change nothing.
  const lower = /^[\u0020-\u007f]*$/.test(cut)
    ? cut.toLowerCase()
    : cut
        .normalize('NFKD')
        .replaceAll(/\p{M}/gu, '')
        .toLowerCase()
        .replaceAll(/[ßłøđðþæœı]/g, (letter) => letters[letter] ?? letter)
  return lower
    .replaceAll(/['’`]/g, '')
    .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
    .slice(0, COMPARED_LENGTH)
}

/** Jaro-Winkler similarity of two folded texts, 0 to 1; the prefix counts up to four characters, as Winkler has it. */
export function jaroWinkler(a: string, b: string): number {
  if (a === b) {
    return a === '' ? 0 : 1
  }
  const [m, n] = [a.length, b.length]
  if (m === 0 || n === 0) {
    return 0
  }
  const reach = Math.max(0, Math.floor(Math.max(m, n) / 2) - 1)
  const takenA = new Uint8Array(m)
  const takenB = new Uint8Array(n)
  let matches = 0
  for (let i = 0; i < m; i++) {
    const code = a.charCodeAt(i)
    const end = Math.min(n, i + reach + 1)
    for (let j = Math.max(0, i - reach); j < end; j++) {
      if (takenB[j] === 0 && b.charCodeAt(j) === code) {
        takenA[i] = 1
        takenB[j] = 1
        matches += 1
        break
      }
    }
  }
  if (matches === 0) {
    return 0
  }
  let moved = 0
  let j = 0
  for (let i = 0; i < m; i++) {
    if (takenA[i] === 1) {
      while (takenB[j] === 0) {
        j += 1
      }
      if (a.charCodeAt(i) !== b.charCodeAt(j)) {
        moved += 1
      }
      j += 1
    }
  }
  const jaro = (matches / m + matches / n + (matches - moved / 2) / matches) / 3
  let prefix = 0
  while (prefix < 4 && prefix < m && prefix < n && a.charCodeAt(prefix) === b.charCodeAt(prefix)) {
    prefix += 1
  }
  return jaro + prefix * 0.1 * (1 - jaro)
}

/** Whether one typing slip (a character changed, missing, added, or two swapped) or none turns one text into the other. */
export function oneSlip(a: string, b: string): boolean {
  if (a === b) {
    return true
  }
  const [short, long] = a.length <= b.length ? [a, b] : [b, a]
  if (long.length - short.length > 1) {
    return false
  }
  let start = 0
  while (start < short.length && short.charCodeAt(start) === long.charCodeAt(start)) {
    start += 1
  }
  let end = 0
  while (
    end < short.length - start &&
    short.charCodeAt(short.length - 1 - end) === long.charCodeAt(long.length - 1 - end)
  ) {
    end += 1
  }
  const left = short.length - start - end
  if (left <= (long.length > short.length ? 0 : 1)) {
    return true
  }
  return (
    left === 2 && long.length === short.length && short[start] === long[start + 1] && short[start + 1] === long[start]
  )
}

const sounds: Readonly<Record<string, string>> = {
  b: '1',
  f: '1',
  p: '1',
  v: '1',
  w: '1',
  c: '2',
  g: '2',
  j: '2',
  k: '2',
  q: '2',
  s: '2',
  x: '2',
  z: '2',
  d: '3',
  t: '3',
  l: '4',
  m: '5',
  n: '5',
  r: '6',
}

/** How a folded word begins and sounds, four characters in the way of Soundex; words in other scripts by their beginning. */
export function sound(word: string): string {
  const joined = word.replaceAll(' ', '')
  if (!/^[a-z]/.test(joined)) {
    return joined.slice(0, 4)
  }
  const start = joined.startsWith('ph') ? `f${joined.slice(2)}` : joined
  let code = start[0] ?? ''
  let last = sounds[code] ?? ''
  for (const letter of start.slice(1)) {
    const digit = sounds[letter] ?? ''
    if (digit !== '' && digit !== last) {
      code += digit
      if (code.length === 4) {
        break
      }
    }
    if (letter !== 'h') {
      last = digit
    }
  }
  return code
}

/** A number that stands for a text: 53 bits, spread evenly (cyrb53, public domain). Equal texts have equal numbers. */
export function textKey(text: string): number {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    high = Math.imul(high ^ code, 2_654_435_761)
    low = Math.imul(low ^ code, 1_597_334_677)
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909)
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909)
  return 4_294_967_296 * (2_097_151 & low) + (high >>> 0)
}
