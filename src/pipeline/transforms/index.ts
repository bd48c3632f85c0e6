/** The catalogue of transforms: what a mapping can do to the text of a cell before it is read. Plain data, no code of callers. */
import { distance } from 'fastest-levenshtein'
import { columnTransforms } from './columns.js'
import type { TransformDefinition, TransformExample } from './definition.js'
import { partTransforms } from './parts.js'
import { textTransforms } from './text.js'
import { valueTransforms } from './values.js'

/** All transforms, in the order in which they are listed. */
export const transforms: readonly TransformDefinition[] = [
  ...textTransforms,
  ...valueTransforms,
  ...partTransforms,
  ...columnTransforms,
]

const byName: ReadonlyMap<string, TransformDefinition> = new Map(
  transforms.map((definition) => [definition.name, definition]),
)

/** The transform of this name; null if there is none. */
export function transformNamed(name: string): TransformDefinition | null {
  return byName.get(name) ?? null
}

/** The one of `names` that a misspelled name most likely means; null where none is near. */
export function nearestName(name: string, names: readonly string[]): string | null {
  const word = name.slice(0, 100).toLowerCase()
  const [nearest] = names
    .map((known) => ({ known, letters: distance(word, known.toLowerCase()) }))
    .filter(({ known, letters }) => letters <= Math.ceil(known.length / 3))
    .toSorted((a, b) => a.letters - b.letters)
  return nearest?.known ?? null
}

/** An example in one line: `split(separator: ",", part: "2")` makes "TX" of "Austin, TX". */
export function exampleText(name: string, example: TransformExample): string {
  const given = example.arguments.map((argument) => `${argument.name}: ${JSON.stringify(argument.value)}`).join(', ')
  const columns = Object.entries(example.columns ?? {}).map(([column, cell]) => `${column} ${JSON.stringify(cell)}`)
  const beside = columns.length === 0 ? '' : ` beside ${columns.join(', ')}`
  return `${name}(${given}) makes ${JSON.stringify(example.becomes)} of ${JSON.stringify(example.value)}${beside}`
}
