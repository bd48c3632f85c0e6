/** Transforms of texts as such. */
import { createHash } from 'node:crypto'
import { decodeHtml } from '../../adapters/files/html-entities.js'
import { TRANSFORM_VALUE_LENGTH_MAX } from '../../limits.js'
import { cut } from '../text.js'
import { parameter, said, TOO_LONG, type TransformDefinition, type Transformed, transform } from './definition.js'

const spaces = /[\s\u200B\u2060\uFEFF]+/gu

/** Invisible characters that `trim()` leaves count as white space, too. */
function trimAll(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) {
    start++
  }
  while (end > start && isBlank(text.charCodeAt(end - 1))) {
    end--
  }
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code <= 32 || (code > 126 && (code === 0x200b || code === 0x2060 || String.fromCharCode(code).trim() === ''))
}

/** Letters of Latin and Greek with something at them; Cyrillic `й` is a letter of its own. */
const accented = /[\u00C0-\u024F\u0370-\u03FF\u1E00-\u1FFF]/g
/** Accents written as characters of their own, behind such a letter. */
const accents = /(?<=[\p{Script=Latin}\p{Script=Greek}])[\u0300-\u036F]+/gu

/** Letters that are not a letter with an accent, and are written without one all the same. */
const otherLetters: Readonly<Record<string, string>> = {
  ß: 'ss',
  ẞ: 'SS',
  æ: 'ae',
  Æ: 'AE',
  œ: 'oe',
  Œ: 'OE',
  ø: 'o',
  Ø: 'O',
  ł: 'l',
  Ł: 'L',
  đ: 'd',
  Đ: 'D',
  ð: 'd',
  Ð: 'D',
  þ: 'th',
  Þ: 'Th',
  ı: 'i',
}

/** Letter by letter: to normalize a long run of accents as a whole takes time with the square of its length. */
function withoutAccents(text: string): string {
  return text
    .replace(accents, '')
    .replace(accented, (letter) => otherLetters[letter] ?? letter.normalize('NFD').replace(/[\u0300-\u036F]+/g, ''))
}

/** Every `find` replaced, unless the text would grow too long. */
function replaced(text: string, find: string, by: string): Transformed {
  if (by.length > find.length) {
    let length = text.length
    for (let at = text.indexOf(find); at >= 0; at = text.indexOf(find, at + find.length)) {
      length += by.length - find.length
      if (length > TRANSFORM_VALUE_LENGTH_MAX) {
        return TOO_LONG
      }
    }
  }
  return text.replaceAll(find, () => by)
}

const wordStart = /(^|[^\p{L}\p{M}\p{N}'’])(\p{L})/gu
/** `o'brien` and `d’angelo` have two capitals, `john's` has one. */
const afterApostrophe = /(^|[^\p{L}\p{M}\p{N}])(\p{L})(['’])(\p{L})/gu

function titleCase(text: string): string {
  return text
    .toLowerCase()
    .replace(wordStart, (_, before: string, letter: string) => before + letter.toUpperCase())
    .replace(
      afterApostrophe,
      (_, before: string, first: string, sign: string, letter: string) => before + first + sign + letter.toUpperCase(),
    )
}

function sentenceCase(text: string): string {
  return text.toLowerCase().replace(/\p{L}/u, (letter) => letter.toUpperCase())
}

/** The nth part, from 1, or from the end where negative. Parts that were not asked for are not made. */
function partOf(text: string, separator: string, part: number): string {
  if (part > 0) {
    let from = 0
    for (let at = 1; at < part; at++) {
      const next = text.indexOf(separator, from)
      if (next < 0) {
        return ''
      }
      from = next + separator.length
    }
    const end = text.indexOf(separator, from)
    return text.slice(from, end < 0 ? undefined : end).trim()
  }
  return (text.split(separator).at(part) ?? '').trim()
}

/** From a position in code points, counted from 1, or from the end where negative. */
function substring(text: string, start: number, length: number | null): string {
  const isPlain = !/[\uD800-\uDFFF]/.test(text)
  const characters = isPlain ? null : Array.from(text)
  const size = characters?.length ?? text.length
  const from = start > 0 ? start - 1 : Math.max(0, size + start)
  const to = length === null ? size : Math.min(size, from + length)
  return characters === null ? text.slice(from, Math.max(from, to)) : characters.slice(from, to).join('')
}

function padded(text: string, length: number, by: string, atStart: boolean): string {
  return atStart ? text.padStart(length, by) : text.padEnd(length, by)
}

/** What ends a block of text in HTML. */
const blockEnd = /^\/?(?:p|div|li|tr|h[1-6]|br|ul|ol|table|section|article|blockquote)$/i
const hiddenElement = /^(?:script|style|head|title)$/i

/** The text of HTML, scanned once: tags and comments go, ends of blocks become line breaks, entities their characters. */
function stripHtml(html: string): string {
  const parts: string[] = []
  /** What has been looked for in vain need not be looked for again, which would take long in a text full of it. */
  const unended = new Set<string>()
  let at = 0
  while (at < html.length) {
    const open = html.indexOf('<', at)
    if (open < 0) {
      break
    }
    const next = html.charCodeAt(open + 1) | 32
    const isTag = (next >= 97 && next <= 122) || html.startsWith('</', open) || html.startsWith('<!', open)
    const isComment = isTag && html.startsWith('<!--', open)
    const end = isComment ? '-->' : '>'
    const close = isTag && !unended.has(end) ? html.indexOf(end, open + 1) : -1
    if (close < 0) {
      if (isTag) {
        unended.add(end)
      }
      parts.push(html.slice(at, open + 1))
      at = open + 1
      continue
    }
    parts.push(html.slice(at, open))
    at = close + (isComment ? 3 : 1)
    const name = isComment ? '' : (/^<(\/?[a-z][a-z0-9]*)/i.exec(html.slice(open, open + 20))?.[1] ?? '')
    if (blockEnd.test(name)) {
      parts.push('\n')
    } else if (hiddenElement.test(name) && !unended.has(name.toLowerCase())) {
      const behind = endOfElement(html, name, at)
      if (behind === null) {
        unended.add(name.toLowerCase())
      } else {
        at = behind
      }
    }
  }
  parts.push(html.slice(at))
  return decodeHtml(parts.join(''))
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}

/** Behind the end tag of an element whose text is not shown; null where it has none, and its text is shown. */
function endOfElement(html: string, name: string, from: number): number | null {
  const tag = `</${name.toLowerCase()}`
  for (let at = html.indexOf('</', from); at >= 0; at = html.indexOf('</', at + 2)) {
    if (html.slice(at, at + tag.length).toLowerCase() === tag) {
      const close = html.indexOf('>', at)
      return close < 0 ? null : close + 1
    }
  }
  return null
}

const find = (description: string) => parameter({ name: 'find', description, required: true, mayBeBlank: true })

/** Whether `text` begins with `start` apart from case, which may not change how long it is. */
function beginsWith(text: string, start: string): boolean {
  return text.slice(0, start.length).toLowerCase() === start.toLowerCase()
}

function endsWith(text: string, end: string): boolean {
  return text.length >= end.length && text.slice(text.length - end.length).toLowerCase() === end.toLowerCase()
}

const notEmpty =
  (name: string) =>
  (args: { text(of: string): string }): string | null =>
    args.text(name) === '' ? `"${name}" is empty` : null

export const textTransforms: readonly TransformDefinition[] = [
  transform({
    name: 'trim',
    description: 'Removes white space from both ends, invisible characters such as zero-width spaces among it.',
    example: { arguments: [], value: '  Ada ', becomes: 'Ada' },
    compile: () => trimAll,
  }),
  transform({
    name: 'collapseSpaces',
    description: 'Makes every run of white space one space, line breaks among it, and removes it from both ends.',
    example: { arguments: [], value: 'Ada   \n Lovelace', becomes: 'Ada Lovelace' },
    compile: () => (text) => text.replace(spaces, ' ').trim(),
  }),
  transform({
    name: 'removeSpaces',
    description: 'Removes all white space.',
    example: { arguments: [], value: 'DE89 3704 0044', becomes: 'DE8937040044' },
    compile: () => (text) => text.replace(spaces, ''),
  }),
  transform({
    name: 'upper',
    description: 'Makes all letters capitals.',
    example: { arguments: [], value: 'tx', becomes: 'TX' },
    compile: () => (text) => text.toUpperCase(),
  }),
  transform({
    name: 'lower',
    description: 'Makes all letters small.',
    example: { arguments: [], value: 'ADA@EXAMPLE.COM', becomes: 'ada@example.com' },
    compile: () => (text) => text.toLowerCase(),
  }),
  transform({
    name: 'title',
    description: 'Begins every word with a capital and makes the other letters small.',
    example: { arguments: [], value: "MARY-ANN O'BRIEN", becomes: "Mary-Ann O'Brien" },
    compile: () => titleCase,
  }),
  transform({
    name: 'sentence',
    description: 'Makes the first letter a capital and all others small.',
    example: { arguments: [], value: 'CALL BACK LATER', becomes: 'Call back later' },
    compile: () => sentenceCase,
  }),
  transform({
    name: 'removeAccents',
    description: 'Replaces Latin and Greek letters with accents by those without; `ß` becomes `ss`, `ø` becomes `o`.',
    example: { arguments: [], value: 'José Müller', becomes: 'Jose Muller' },
    compile: () => withoutAccents,
  }),
  transform({
    name: 'replace',
    description: 'Replaces every occurrence of a text by another one. The case of letters counts.',
    parameters: [
      find('The text that is looked for, exactly as written.'),
      parameter({
        name: 'with',
        description: 'What takes its place; by default nothing, which removes it.',
        byDefault: '',
      }),
    ],
    example: { arguments: said({ find: '/', with: '-' }), value: 'A/1/2', becomes: 'A-1-2' },
    check: notEmpty('find'),
    compile: (args) => {
      const [old, by] = [args.text('find'), args.text('with')]
      return (text) => replaced(text, old, by)
    },
  }),
  transform({
    name: 'removeCharacters',
    description: 'Removes each of the given characters wherever it stands.',
    parameters: [
      parameter({ name: 'characters', description: 'The characters, one behind the other.', required: true }),
    ],
    example: { arguments: said({ characters: '()-' }), value: '(512) 555-0101', becomes: '512 5550101' },
    check: notEmpty('characters'),
    compile: (args) => {
      const unwanted = new Set(args.text('characters'))
      return (text) => {
        const kept: string[] = []
        for (const character of text) {
          if (!unwanted.has(character)) {
            kept.push(character)
          }
        }
        return kept.length === text.length ? text : kept.join('')
      }
    },
  }),
  transform({
    name: 'digitsOnly',
    description: 'Keeps the digits 0 to 9 and nothing else.',
    example: { arguments: [], value: 'No. 12-34', becomes: '1234' },
    compile: () => (text) => text.replace(/[^0-9]+/g, ''),
  }),
  transform({
    name: 'removePrefix',
    description: 'Removes a text from the beginning if it stands there, whatever the case of its letters.',
    parameters: [parameter({ name: 'prefix', description: 'The text.', required: true })],
    example: { arguments: said({ prefix: 'Tel: ' }), value: 'tel: 5550101', becomes: '5550101' },
    check: notEmpty('prefix'),
    compile: (args) => {
      const prefix = args.text('prefix')
      return (text) => (beginsWith(text, prefix) ? text.slice(prefix.length) : text)
    },
  }),
  transform({
    name: 'removeSuffix',
    description: 'Removes a text from the end if it stands there, whatever the case of its letters.',
    parameters: [parameter({ name: 'suffix', description: 'The text.', required: true })],
    example: { arguments: said({ suffix: ' sqft' }), value: '1200 SQFT', becomes: '1200' },
    check: notEmpty('suffix'),
    compile: (args) => {
      const suffix = args.text('suffix')
      return (text) => (endsWith(text, suffix) ? text.slice(0, text.length - suffix.length) : text)
    },
  }),
  transform({
    name: 'addPrefix',
    description: 'Puts a text before every value that is not blank.',
    parameters: [parameter({ name: 'prefix', description: 'The text.', required: true })],
    example: { arguments: said({ prefix: 'crm-' }), value: '17', becomes: 'crm-17' },
    check: notEmpty('prefix'),
    compile: (args) => {
      const prefix = args.text('prefix')
      return (text) => prefix + text
    },
  }),
  transform({
    name: 'addSuffix',
    description: 'Puts a text behind every value that is not blank.',
    parameters: [parameter({ name: 'suffix', description: 'The text.', required: true })],
    example: { arguments: said({ suffix: '@example.com' }), value: 'ada', becomes: 'ada@example.com' },
    check: notEmpty('suffix'),
    compile: (args) => {
      const suffix = args.text('suffix')
      return (text) => text + suffix
    },
  }),
  transform({
    name: 'split',
    description:
      'Splits the text at a separator and takes one part, without white space around it. A part that is not there is blank.',
    parameters: [
      parameter({ name: 'separator', description: 'The text between parts, exactly as written.', required: true }),
      parameter({
        name: 'part',
        kind: 'WHOLE_NUMBER',
        description: 'Which part: 1 for the first, -1 for the last.',
        required: true,
        min: -1_000,
        max: 1_000,
      }),
    ],
    example: { arguments: said({ separator: ',', part: 2 }), value: 'Austin, TX', becomes: 'TX' },
    check: (args) =>
      args.number('part') === 0 ? '"part" is 0; the first part is 1, the last one -1' : notEmpty('separator')(args),
    compile: (args) => {
      const [separator, part] = [args.text('separator'), args.number('part')]
      return (text) => partOf(text, separator, part)
    },
  }),
  transform({
    name: 'before',
    description: 'Takes what stands before the first occurrence of a text; the whole value if it does not occur.',
    parameters: [find('The text, exactly as written.')],
    example: { arguments: said({ find: '@' }), value: 'ada@example.com', becomes: 'ada' },
    check: notEmpty('find'),
    compile: (args) => {
      const sought = args.text('find')
      return (text) => {
        const at = text.indexOf(sought)
        return at < 0 ? text : text.slice(0, at).trim()
      }
    },
  }),
  transform({
    name: 'after',
    description: 'Takes what stands behind the first occurrence of a text; nothing if it does not occur.',
    parameters: [find('The text, exactly as written.')],
    example: { arguments: said({ find: '@' }), value: 'ada@example.com', becomes: 'example.com' },
    check: notEmpty('find'),
    compile: (args) => {
      const sought = args.text('find')
      return (text) => {
        const at = text.indexOf(sought)
        return at < 0 ? '' : text.slice(at + sought.length).trim()
      }
    },
  }),
  transform({
    name: 'substring',
    description: 'Takes characters from a position on. Signs that take two units, such as emoji, count as one.',
    parameters: [
      parameter({
        name: 'start',
        kind: 'WHOLE_NUMBER',
        description: 'Position of the first character: 1 for the first one, -4 for the fourth from the end.',
        required: true,
        min: -TRANSFORM_VALUE_LENGTH_MAX,
        max: TRANSFORM_VALUE_LENGTH_MAX,
      }),
      parameter({
        name: 'length',
        kind: 'WHOLE_NUMBER',
        description: 'How many characters; by default all that follow.',
        min: 1,
        max: TRANSFORM_VALUE_LENGTH_MAX,
      }),
    ],
    example: { arguments: said({ start: 1, length: 5 }), value: '78701-1234', becomes: '78701' },
    check: (args) => (args.number('start') === 0 ? '"start" is 0; the first character is 1' : null),
    compile: (args) => {
      const length = args.optional('length')
      return (text) => substring(text, args.number('start'), length === null ? null : Number(length))
    },
  }),
  transform({
    name: 'truncate',
    description: 'Cuts the text behind so many characters.',
    parameters: [
      parameter({
        name: 'length',
        kind: 'WHOLE_NUMBER',
        description: 'How many UTF-16 code units are kept; no character is cut in two.',
        required: true,
        min: 1,
        max: TRANSFORM_VALUE_LENGTH_MAX,
      }),
    ],
    example: { arguments: said({ length: 5 }), value: 'A long remark', becomes: 'A lon' },
    compile: (args) => {
      const length = args.number('length')
      return (text) => cut(text, length)
    },
  }),
  ...(['padStart', 'padEnd'] as const).map((name) =>
    transform({
      name,
      description: `Fills the text up to a length at its ${name === 'padStart' ? 'beginning' : 'end'}. A longer one stays as it is.`,
      parameters: [
        parameter({
          name: 'length',
          kind: 'WHOLE_NUMBER',
          description: 'The length, in UTF-16 code units.',
          required: true,
          min: 1,
          max: 1_000,
        }),
        parameter({ name: 'with', description: 'What it is filled with.', byDefault: '0' }),
      ],
      example: {
        arguments: said({ length: 5 }),
        value: '2108',
        becomes: name === 'padStart' ? '02108' : '21080',
      },
      check: notEmpty('with'),
      compile: (args) => {
        const [length, by] = [args.number('length'), args.text('with')]
        return (text) => padded(text, length, by, name === 'padStart')
      },
    }),
  ),
  transform({
    name: 'firstLine',
    description: 'Takes the first line that is not blank.',
    example: { arguments: [], value: '\n12 Main St\nUnit 4', becomes: '12 Main St' },
    compile: () => (text) =>
      text
        .trimStart()
        .split(/\r\n?|\n/, 1)[0]!
        .trimEnd(),
  }),
  transform({
    name: 'joinLines',
    description: 'Makes one line of several; blank ones are left out.',
    parameters: [parameter({ name: 'separator', description: 'What comes between lines.', byDefault: ', ' })],
    example: { arguments: [], value: '12 Main St\nUnit 4', becomes: '12 Main St, Unit 4' },
    compile: (args) => {
      const separator = args.text('separator')
      return (text) => {
        const lines = text
          .split(/[\r\n]+/)
          .map((line) => line.trim())
          .filter((line) => line !== '')
        const length = lines.reduce((sum, line) => sum + line.length + separator.length, 0)
        return length - separator.length > TRANSFORM_VALUE_LENGTH_MAX ? TOO_LONG : lines.join(separator)
      }
    },
  }),
  transform({
    name: 'stripHtml',
    description:
      'Makes plain text of HTML: tags, comments, scripts and styles go, ends of paragraphs become line breaks, entities their characters.',
    example: { arguments: [], value: '<p>Fish &amp; <b>chips</b></p>', becomes: 'Fish & chips' },
    compile: () => stripHtml,
  }),
  transform({
    name: 'unescapeHtml',
    description: 'Replaces HTML entities such as `&amp;` and `&#233;` by their characters, once.',
    example: { arguments: [], value: 'Fish &amp; chips', becomes: 'Fish & chips' },
    compile: () => decodeHtml,
  }),
  transform({
    name: 'default',
    description:
      'Fills in a text where the value is blank, for created and for updated records; `defaultValue` of the column fills created records only.',
    parameters: [parameter({ name: 'value', description: 'The text.', required: true, mayBeBlank: false })],
    example: { arguments: said({ value: 'Website' }), value: '', becomes: 'Website' },
    readsBlank: true,
    compile: (args) => {
      const value = args.text('value')
      return (text) => (text.trim() === '' ? value : text)
    },
  }),
  transform({
    name: 'blankIf',
    description: 'Makes values blank that mean nothing, such as `N/A`. The whole value is compared, whatever its case.',
    parameters: [
      parameter({
        name: 'value',
        description: 'Such a value; as often as there are some.',
        required: true,
        repeated: true,
      }),
    ],
    example: { arguments: said({ value: ['n/a', '-'] }), value: 'N/A', becomes: '' },
    compile: (args) => {
      const values = new Set(args.all('value').map((value) => value.trim().toLowerCase()))
      const longest = Math.max(...args.all('value').map((value) => value.length)) * 3
      return (text) => {
        const value = text.trim()
        return value.length <= longest && values.has(value.toLowerCase()) ? '' : text
      }
    },
  }),
  transform({
    name: 'mapValues',
    description:
      'Replaces whole values by others, whatever their case: each `from` is followed by its `to`. What is not listed stays as it is, or becomes `otherwise`.',
    parameters: [
      parameter({ name: 'from', description: 'A value of the file.', required: true, repeated: true }),
      parameter({
        name: 'to',
        description: 'What the `from` before it becomes; may be empty.',
        required: true,
        repeated: true,
      }),
      parameter({ name: 'otherwise', description: 'What all other values become that are not blank.' }),
    ],
    example: {
      arguments: [
        { name: 'from', value: 'H' },
        { name: 'to', value: 'Hot' },
        { name: 'from', value: 'C' },
        { name: 'to', value: 'Cold' },
      ],
      value: 'h',
      becomes: 'Hot',
    },
    readsBlank: true,
    check: (args) => {
      const pairs = args.list.filter(({ name }) => name !== 'otherwise')
      return pairs.length % 2 === 0 && pairs.every(({ name }, at) => name === (at % 2 === 0 ? 'from' : 'to'))
        ? null
        : 'each "from" has to be followed by its "to"'
    },
    compile: (args) => {
      const to = args.all('to')
      const exact = new Map<string, string>()
      const folded = new Map<string, string>()
      for (const [at, from] of args.all('from').entries()) {
        const key = from.trim()
        const value = to[at] ?? ''
        exact.set(key, exact.get(key) ?? value)
        folded.set(key.toLowerCase(), folded.get(key.toLowerCase()) ?? value)
      }
      const otherwise = args.optional('otherwise')
      return (text) => {
        const value = text.trim()
        return exact.get(value) ?? folded.get(value.toLowerCase()) ?? (value === '' ? text : (otherwise ?? text))
      }
    },
  }),
  transform({
    name: 'hash',
    description:
      'Replaces the value by its SHA-256, as 64 hexadecimal digits of the UTF-8 of `salt` and value: a stable id of a text that is not to be kept. ' +
      'It is the same in every tenant. Whoever knows the salt can try likely values, so it hides no phone number and no birth date; the salt is shown with the mapping.',
    parameters: [parameter({ name: 'salt', description: 'Put before the value.', byDefault: '' })],
    example: {
      arguments: [],
      value: 'ada@example.com',
      becomes: createHash('sha256').update('ada@example.com').digest('hex'),
    },
    compile: (args) => {
      const salt = args.text('salt')
      return (text) => createHash('sha256').update(salt).update(text).digest('hex')
    },
  }),
]
