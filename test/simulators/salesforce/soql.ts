/**
 * The part of SOQL that programs which read everything use: a list of fields with paths over relationships, or COUNT(), WHERE
 * with and, or, not, parentheses, comparisons, IN, NOT IN and LIKE, ORDER BY, LIMIT and OFFSET. Anything else is refused, as
 * a real organization refuses what it does not know.
 */

import type { Json } from '../common/types.js'

/** A value in a condition. Moments are milliseconds since 1970, days are text. */
export type Literal =
  | { readonly kind: 'text' | 'day'; readonly value: string }
  | { readonly kind: 'number' | 'moment'; readonly value: number }
  | { readonly kind: 'flag'; readonly value: boolean }
  | { readonly kind: 'null' }

export type Comparator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'IN' | 'NOT IN' | 'LIKE'

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  | {
      readonly kind: 'compare'
      readonly field: string
      readonly comparator: Comparator
      readonly values: readonly Literal[]
    }

export interface Order {
  readonly field: string
  readonly descending: boolean
  readonly nullsLast: boolean
}

export interface Query {
  /** Paths as they were written; COUNT() alone is an empty list with `count`. */
  readonly fields: readonly string[]
  readonly count: boolean
  readonly from: string
  readonly where: Condition | null
  readonly orderBy: readonly Order[]
  readonly limit: number | null
  readonly offset: number
}

/** A query that is no query. */
export class Malformed extends Error {}

interface Token {
  readonly kind: 'word' | 'text' | 'sign'
  readonly value: string
}

/** Reads a query. Throws Malformed. */
export function parseSoql(source: string): Query {
  return new Parser(tokensOf(source)).query()
}

function tokensOf(source: string): readonly Token[] {
  const tokens: Token[] = []
  const pattern = /\s+|'((?:[^'\\]|\\.)*)'|([\w.:+-]+)|(<=|>=|!=|<>|[=<>(),])/gsy
  while (pattern.lastIndex < source.length) {
    const at = pattern.lastIndex
    const match = pattern.exec(source)
    if (match === null) {
      throw new Malformed(`unexpected token: '${source.slice(at, at + 10)}'`)
    }
    const [, text, word, sign] = match
    if (text !== undefined) {
      tokens.push({ kind: 'text', value: unescaped(text) })
    } else if (word !== undefined) {
      tokens.push({ kind: 'word', value: word })
    } else if (sign !== undefined) {
      tokens.push({ kind: 'sign', value: sign === '<>' ? '!=' : sign })
    }
  }
  return tokens
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter)
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  query(): Query {
    this.#expect('SELECT')
    const fields: string[] = []
    let count = false
    do {
      const name = this.#word()
      if (this.#takeSign('(')) {
        if (name.toUpperCase() !== 'COUNT' || fields.length > 0) {
          throw new Malformed(`unexpected function: ${name}`)
        }
        if (!this.#takeSign(')')) {
          this.#word()
          this.#sign(')')
        }
        count = true
      } else {
        fields.push(name)
      }
    } while (this.#takeSign(','))
    if (count && fields.length > 0) {
      throw new Malformed('Field must be grouped or aggregated: COUNT')
    }
    this.#expect('FROM')
    const from = this.#word()
    const where = this.#take('WHERE') ? this.#or() : null
    const orderBy: Order[] = []
    if (this.#take('ORDER')) {
      this.#expect('BY')
      do {
        const field = this.#word()
        const descending = this.#take('DESC') || (this.#take('ASC') && false)
        const nullsLast = this.#take('NULLS') && (this.#take('LAST') || (this.#expect('FIRST') && false))
        orderBy.push({ field, descending, nullsLast })
      } while (this.#takeSign(','))
    }
    const limit = this.#take('LIMIT') ? this.#number() : null
    const offset = this.#take('OFFSET') ? this.#number() : 0
    const rest = this.#tokens[this.#at]
    if (rest !== undefined) {
      throw new Malformed(`unexpected token: '${rest.value}'`)
    }
    return { fields, count, from, where, orderBy, limit, offset }
  }

  #or(): Condition {
    const parts = [this.#and()]
    while (this.#take('OR')) {
      parts.push(this.#and())
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'or', parts }
  }

  #and(): Condition {
    const parts = [this.#not()]
    while (this.#take('AND')) {
      parts.push(this.#not())
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'and', parts }
  }

  #not(): Condition {
    if (this.#take('NOT')) {
      return { kind: 'not', part: this.#not() }
    }
    if (this.#takeSign('(')) {
      const inside = this.#or()
      this.#sign(')')
      return inside
    }
    const field = this.#word()
    const sign = this.#tokens[this.#at]
    if (sign?.kind === 'sign' && ['=', '!=', '<', '<=', '>', '>='].includes(sign.value)) {
      this.#at++
      return { kind: 'compare', field, comparator: sign.value as Comparator, values: [this.#literal()] }
    }
    if (this.#take('LIKE')) {
      return { kind: 'compare', field, comparator: 'LIKE', values: [this.#literal()] }
    }
    const not = this.#take('NOT')
    this.#expect('IN')
    this.#sign('(')
    const values: Literal[] = []
    do {
      values.push(this.#literal())
    } while (this.#takeSign(','))
    this.#sign(')')
    return { kind: 'compare', field, comparator: not ? 'NOT IN' : 'IN', values }
  }

  #literal(): Literal {
    const token = this.#tokens[this.#at++]
    if (token?.kind === 'text') {
      return { kind: 'text', value: token.value }
    }
    const { value = '' } = token?.kind === 'word' ? token : {}
    if (/^null$/i.test(value)) {
      return { kind: 'null' }
    }
    if (/^(true|false)$/i.test(value)) {
      return { kind: 'flag', value: /^true$/i.test(value) }
    }
    if (/^\d{4}-\d\d-\d\d$/.test(value)) {
      return { kind: 'day', value }
    }
    if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:?\d\d)$/.test(value)) {
      const at = Date.parse(value.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'))
      if (!Number.isNaN(at)) {
        return { kind: 'moment', value: at }
      }
    }
    if (/^[+-]?\d+(\.\d+)?$/.test(value)) {
      return { kind: 'number', value: Number(value) }
    }
    throw new Malformed(`unexpected token: '${token?.value ?? '<EOF>'}'`)
  }

  #number(): number {
    const literal = this.#literal()
    if (literal.kind !== 'number' || !Number.isInteger(literal.value) || literal.value < 0) {
      throw new Malformed('a whole number was expected')
    }
    return literal.value
  }

  #take(word: string): boolean {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'word' || token.value.toUpperCase() !== word) {
      return false
    }
    this.#at++
    return true
  }

  #expect(word: string): true {
    if (!this.#take(word)) {
      throw new Malformed(`unexpected token: '${this.#tokens[this.#at]?.value ?? '<EOF>'}'`)
    }
    return true
  }

  #takeSign(sign: string): boolean {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'sign' || token.value !== sign) {
      return false
    }
    this.#at++
    return true
  }

  #sign(sign: string): void {
    if (!this.#takeSign(sign)) {
      throw new Malformed(`unexpected token: '${this.#tokens[this.#at]?.value ?? '<EOF>'}'`)
    }
  }

  #word(): string {
    const token = this.#tokens[this.#at++]
    if (token?.kind !== 'word' || !/^[A-Za-z][\w.]*$/.test(token.value)) {
      throw new Malformed(`unexpected token: '${token?.value ?? '<EOF>'}'`)
    }
    return token.value
  }
}

/** Whether a record fits the condition. Values are as answers have them; moments as ISO text. */
export function fits(condition: Condition, valueOf: (field: string) => Json | undefined): boolean {
  switch (condition.kind) {
    case 'and':
      return condition.parts.every((part) => fits(part, valueOf))
    case 'or':
      return condition.parts.some((part) => fits(part, valueOf))
    case 'not':
      return !fits(condition.part, valueOf)
    case 'compare': {
      const value = valueOf(condition.field) ?? null
      const equal = (literal: Literal): boolean => compare(value, literal) === 0
      const [first = { kind: 'null' } as const] = condition.values
      switch (condition.comparator) {
        case 'IN':
          return condition.values.some(equal)
        case 'NOT IN':
          return !condition.values.some(equal)
        case 'LIKE':
          return typeof value === 'string' && first.kind === 'text' && isLike(value, first.value)
        case '=':
          return equal(first)
        case '!=':
          return !equal(first)
        default: {
          const order = compare(value, first)
          const { comparator } = condition
          return order === 0 ? comparator.endsWith('=') : order !== null && comparator.startsWith('<') === order < 0
        }
      }
    }
    default:
      return false
  }
}

function isLike(value: string, pattern: string): boolean {
  const source = pattern.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(`^${source.replaceAll('%', '.*').replaceAll('_', '.')}$`, 'is').test(value)
}

const said = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Below, at or above zero; null where the two have no order. Ids of 15 and 18 characters are the same. */
function compare(value: Json, literal: Literal): number | null {
  if (literal.kind === 'null') {
    return value === null ? 0 : null
  }
  if (value === null) {
    return null
  }
  const own = literal.kind === 'moment' ? Date.parse(said(value)) : value
  if (typeof own === 'number' && typeof literal.value === 'number') {
    return own - literal.value
  }
  if (typeof own === 'boolean') {
    return own === literal.value ? 0 : null
  }
  const isId = typeof own === 'string' && /^\w{18}$/.test(own)
  const one = isId ? own : said(own).toLowerCase()
  const other = isId ? String(literal.value) : String(literal.value).toLowerCase()
  if (literal.kind === 'text' && other.length === 15 && one.length === 18 && one.startsWith(other)) {
    return 0
  }
  return one === other ? 0 : one < other ? -1 : 1
}
