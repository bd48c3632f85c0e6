/**
 * Text that a spreadsheet would take for a formula when it opens a CSV file, and how such text is kept from it: one `'` in
 * front, which is taken away again when the file comes back. The signs are those of OWASP's "CSV Injection" page
 * (https://owasp.org/www-community/attacks/CSV_Injection): `=`, `+`, `-`, `@`, tab, carriage return, line feed, and the
 * full-width forms, which East Asian Excels read as the others; NUL, which some programs drop, comes on top. That text which
 * begins with `'` gets one more makes the way back certain: Symfony's first rule left it as it was, so that text that had a `'`
 * of its own could not be told from protected text; and the signs that it had left out were CVE-2021-41270.
 *
 * Numbers and phone numbers begin with `+` and `-` as well and are spared: digits with separators can be calculated, but call
 * no function, name no cell and reach no other program, and files full of `'-12.5` are of no use to anybody.
 */

/** What would be a formula, or would be protected text: any number of `'` and a sign. Also a regular expression of PostgreSQL. */
export const FORMULA_PATTERN = "^'*[=+@\\t\\r\\n＝＋－＠-]"

/**
 * What of it is spared. Plain numbers: `-12.5`, `+3`, `-1e5`, `-1.234,56`, `-1 234`, `-.5`, `-3 %`. Phone numbers: `+49 (0)30 123-45`,
 * `+4930123;ext=45`. Every character can be matched in one way only, so that this takes a time in proportion to the length.
 * Also a regular expression of PostgreSQL.
 */
export const SPARED_PATTERN =
  "^(?:[+-][.,]?[0-9]+(?:[.,'’ \\u00a0\\u2009\\u202f][0-9]+)*(?:[eE][+-]?[0-9]+)?(?:[ \\u00a0\\u202f]?%)?" +
  '|\\+[ (]?[0-9][0-9 ()./\\u00a0\\u2010\\u2011\\u2013-]*(?:;ext=[0-9]+)?)$'

const spared = new RegExp(SPARED_PATTERN)

const APOSTROPHE = 39

/** Whether `code` is one of the signs. UTF-16 code unit; NaN is none. */
function isSign(code: number): boolean {
  switch (code) {
    case 0:
    case 9:
    case 10:
    case 13:
    case 43: // +
    case 45: // -
    case 61: // =
    case 64: // @
    case 0xff0b: // ＋
    case 0xff0d: // －
    case 0xff1d: // ＝
    case 0xff20: // ＠
      return true
    default:
      return false
  }
}

/** How many `'` stand before a sign at the beginning of `text`; -1 where no sign follows. */
function apostrophes(text: string): number {
  let at = 0
  while (text.charCodeAt(at) === APOSTROPHE) {
    at += 1
  }
  return isSign(text.charCodeAt(at)) ? at : -1
}

/**
 * Whether a spreadsheet may take `text` for a formula, or for text that is protected already: it begins with any number of `'`
 * and then a sign, and is neither a plain number nor a phone number. These get a `'` in front.
 */
export function isFormulaLike(text: string): boolean {
  const before = apostrophes(text)
  return before > 0 || (before === 0 && !spared.test(text))
}

/**
 * Whether `text` looks as if it were protected: at least one `'` and then a sign. What is formula-like and not this is bare, and
 * shows that the file it stands in was not protected.
 */
export function isProtected(text: string): boolean {
  return text.charCodeAt(0) === APOSTROPHE && apostrophes(text) > 0
}

/** `text` as it may stand in a CSV file that a spreadsheet will open: with one `'` in front where it is formula-like. */
export function protect(text: string): string {
  return isFormulaLike(text) ? `'${text}` : text
}

/** The text that `protect` was given. Takes one `'` away from text that looks protected, whoever wrote it, and nothing else. */
export function unprotect(text: string): string {
  return isProtected(text) ? text.slice(1) : text
}
