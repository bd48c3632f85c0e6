/** What a transform is: a name, what can be said to it, and how it changes a text. All of them take time linear in the text. */
import type { TransformArgument } from '../types.js'

/** What an argument has to be. Each kind is checked before a mapping is taken; see `arguments.ts`. */
export type ParameterKind =
  | 'TEXT'
  | 'WHOLE_NUMBER'
  | 'NUMBER'
  | 'CHOICE'
  | 'COLUMN'
  | 'TEMPLATE'
  | 'DATE_FORMAT'
  | 'NUMBER_FORMAT'
  | 'TIME_ZONE'
  | 'COUNTRY'
  | 'CURRENCY'

/** One thing that can be said to a transform. */
export interface Parameter {
  readonly name: string
  readonly kind: ParameterKind
  /** A sentence for the person who fills it in. */
  readonly description: string
  readonly required: boolean
  /** What counts when nothing is said; null for nothing. */
  readonly byDefault: string | null
  /** May be given several times, in an order that counts. */
  readonly repeated: boolean
  /** Of a CHOICE. */
  readonly choices: readonly string[]
  /** Of numbers, inclusive. */
  readonly min: number
  readonly max: number
  /** Whether an empty text, or one of white space alone, says something. */
  readonly mayBeBlank: boolean
}

/** A text grew, or would have grown, beyond TRANSFORM_VALUE_LENGTH_MAX. */
export const TOO_LONG = Symbol('too long')

/** What becomes of a text: another one, null where it cannot be read, or TOO_LONG. */
export type Transformed = string | null | typeof TOO_LONG

/** A compiled transform. `cells` are the texts of the columns that it names, in their order. */
export type Apply = (text: string, cells: readonly string[]) => Transformed

/** What the run adds to what the mapping says. */
export interface Surroundings {
  /** IANA zone of date-times without an offset. */
  readonly timeZone: string
  /** ISO 3166-1 alpha-2, for phone numbers without a country code; null for none. */
  readonly defaultCountry: string | null
}

/** The arguments of one call, checked. */
export class Arguments {
  readonly list: readonly TransformArgument[]
  readonly #parameters: readonly Parameter[]

  constructor(list: readonly TransformArgument[], parameters: readonly Parameter[]) {
    this.list = list
    this.#parameters = parameters
  }

  /** What was said, or what counts by default; null for neither. */
  optional(name: string): string | null {
    const said = this.list.find((argument) => argument.name === name)
    return said?.value ?? this.#parameters.find((parameter) => parameter.name === name)?.byDefault ?? null
  }

  /** The same for what is never without a value. */
  text(name: string): string {
    return this.optional(name) ?? ''
  }

  number(name: string): number {
    return Number(this.text(name))
  }

  /** Every value of an argument that may be given several times. */
  all(name: string): string[] {
    return this.list.filter((argument) => argument.name === name).map(({ value }) => value)
  }
}

/** An example that holds: a test tries each of them. */
export interface TransformExample {
  readonly arguments: readonly TransformArgument[]
  readonly value: string
  /** Cells of the columns that the arguments name. */
  readonly columns?: Readonly<Record<string, string>>
  readonly becomes: string
}

/** One transform of the catalogue. */
export interface TransformDefinition {
  readonly name: string
  /** Full sentences: what it does, and what it does with what it cannot read. */
  readonly description: string
  readonly parameters: readonly Parameter[]
  readonly example: TransformExample
  /** What the text has to be, for the issue of one that is not: `Expected …`. Null where every text can be read. */
  readonly expects: ((said: Arguments) => string) | null
  /** Also changes a blank text; others leave it as it is. */
  readonly readsBlank: boolean
  /** Writes dates or numbers plainly, so that the column's own format no longer counts. */
  readonly writesPlainly: boolean
  /** What is wrong with arguments that are each in order; null for nothing. */
  readonly check: ((said: Arguments) => string | null) | null
  readonly compile: (said: Arguments, surroundings: Surroundings) => Apply
}

type Given<T extends object, K extends keyof T> = Pick<T, K> & Partial<Omit<T, K>>

/** A parameter, with the usual where nothing is said: an optional text. */
export function parameter(given: Given<Parameter, 'name' | 'description'>): Parameter {
  return {
    kind: 'TEXT',
    required: false,
    byDefault: null,
    repeated: false,
    choices: [],
    min: Number.NEGATIVE_INFINITY,
    max: Number.POSITIVE_INFINITY,
    mayBeBlank: true,
    ...given,
  }
}

/** A transform, with the usual where nothing is said: it reads every text and leaves a blank one. */
export function transform(
  given: Given<TransformDefinition, 'name' | 'description' | 'example' | 'compile'>,
): TransformDefinition {
  return { parameters: [], expects: null, readsBlank: false, writesPlainly: false, check: null, ...given }
}

/** Arguments from a record: a list gives one argument for each of its values. */
export function said(values: Readonly<Record<string, string | number | readonly string[]>>): TransformArgument[] {
  return Object.entries(values).flatMap(([name, value]) =>
    typeof value === 'object' ? value.map((each) => ({ name, value: each })) : [{ name, value: `${value}` }],
  )
}
