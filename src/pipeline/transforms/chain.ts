/** Chains of transforms, compiled once per run. */
import { TRANSFORM_VALUE_LENGTH_MAX } from '../../limits.js'
import { OWN_VALUE, type ResolvedTransform } from '../types.js'
import type { ValueFault } from '../values.js'
import { type Apply, Arguments, type Surroundings, TOO_LONG } from './definition.js'
import { transformNamed } from './index.js'

/** Text of another column's cell of the row in hand, by the column's index; '' for a blank one. */
export type CellText = (index: number) => string

/** The transforms of one column. */
export interface Chain {
  /** Indexes of other columns that it reads, each once. */
  readonly reads: readonly number[]
  /** What becomes of `text`; null where one of the transforms could not read what it was given: `fault` says it then. */
  run(text: string, cell: CellText): string | null
  /** What failed in the last `run`, and on which text. */
  fault(): { readonly text: string; readonly fault: ValueFault }
}

interface Link {
  readonly name: string
  readonly apply: Apply
  readonly readsBlank: boolean
  readonly columns: readonly number[]
  readonly expects: string | null
}

const NO_CELLS: readonly string[] = []

/** Compiles calls that `resolveTransforms` has taken. */
export function compileChain(calls: readonly ResolvedTransform[], surroundings: Surroundings): Chain {
  return new CompiledChain(calls.map((call) => link(call, surroundings)))
}

/** Whether the chain writes dates or numbers plainly at its end, so that the column's own format no longer counts. */
export function writesPlainly(calls: readonly ResolvedTransform[]): boolean {
  return calls.some(({ name }) => transformNamed(name)?.writesPlainly === true)
}

/** Whether what becomes of a value depends on other columns of the row. */
export function readsOtherColumns(calls: readonly ResolvedTransform[]): boolean {
  return calls.some(({ columns }) => columns.some((column) => column !== OWN_VALUE))
}

function link(call: ResolvedTransform, surroundings: Surroundings): Link {
  const definition = transformNamed(call.name)
  if (definition === null) {
    throw new Error(`the mapping was resolved with the transform ${call.name}, which there is not`)
  }
  const args = new Arguments(call.arguments, definition.parameters)
  return {
    name: call.name,
    apply: definition.compile(args, surroundings),
    readsBlank: definition.readsBlank,
    columns: call.columns,
    expects: definition.expects?.(args) ?? null,
  }
}

class CompiledChain implements Chain {
  readonly reads: readonly number[]
  readonly #links: readonly Link[]
  #failed = 0
  #tooLong = false
  #text = ''

  constructor(links: readonly Link[]) {
    this.#links = links
    this.reads = [...new Set(links.flatMap(({ columns }) => columns))].filter((column) => column !== OWN_VALUE)
  }

  run(value: string, cell: CellText): string | null {
    let text = value
    for (let at = 0; at < this.#links.length; at++) {
      const { apply, readsBlank, columns } = this.#links[at]!
      if (text === '' && !readsBlank) {
        continue
      }
      const cells = columns.length === 0 ? NO_CELLS : this.#cells(columns, text, cell)
      const made = apply(text, cells)
      if (made === null || made === TOO_LONG || made.length > TRANSFORM_VALUE_LENGTH_MAX) {
        this.#failed = at
        this.#tooLong = made !== null
        this.#text = text
        return null
      }
      text = made
    }
    return text
  }

  #cells(columns: readonly number[], text: string, cell: CellText): readonly string[] {
    return columns.map((column) => (column === OWN_VALUE ? text : cell(column)))
  }

  fault(): { readonly text: string; readonly fault: ValueFault } {
    const { name, expects } = this.#links[this.#failed]!
    const which = `Transform ${this.#failed + 1}, ${name},`
    // The value stays out of the message: what is masked for some readers is the value alone.
    return {
      text: this.#text,
      fault: {
        code: 'TRANSFORM_FAILED',
        message: this.#tooLong
          ? `${which} would make a text of more than ${TRANSFORM_VALUE_LENGTH_MAX.toLocaleString('en-US')} characters.`
          : `${which} cannot read the value. Expected ${expects ?? 'something else'}.`,
        suggestion: 'Correct the cell, or the transforms of the column.',
      },
    }
  }
}
