/** Transforms that read other columns of the row. */
import { TRANSFORM_VALUE_LENGTH_MAX } from '../../limits.js'
import { parameter, said, TOO_LONG, type TransformDefinition, type Transformed, transform } from './definition.js'
import { templateParts } from './template.js'

/** `parts` in one text, unless that grew too long. */
function concatenated(parts: readonly string[], separator: string): Transformed {
  const length = parts.reduce((sum, part) => sum + part.length + separator.length, 0) - separator.length
  return length > TRANSFORM_VALUE_LENGTH_MAX ? TOO_LONG : parts.join(separator)
}

const OWN = 'The column’s own name means its value as the transforms before this one left it.'

export const columnTransforms: readonly TransformDefinition[] = [
  transform({
    name: 'join',
    description: `Joins the value and other columns, blank ones left out. Without the column’s own name among them its value comes first. ${OWN}`,
    parameters: [
      parameter({
        name: 'column',
        kind: 'COLUMN',
        description: 'A column, in the order in which they are joined.',
        required: true,
        repeated: true,
      }),
      parameter({ name: 'separator', description: 'What comes between two of them.', byDefault: ' ' }),
    ],
    example: {
      arguments: said({ column: ['Street', 'City'], separator: ', ' }),
      value: 'Unit 4',
      columns: { Street: '12 Main St', City: 'Austin' },
      becomes: 'Unit 4, 12 Main St, Austin',
    },
    readsBlank: true,
    compile: (args) => {
      const separator = args.text('separator')
      return (_, cells) =>
        concatenated(
          cells.filter((cell) => cell.trim() !== ''),
          separator,
        )
    },
  }),
  transform({
    name: 'firstNonEmpty',
    description: `Takes the first of several columns that is not blank. Without the column’s own name among them its value comes first. ${OWN}`,
    parameters: [
      parameter({
        name: 'column',
        kind: 'COLUMN',
        description: 'A column, in the order in which they are tried.',
        required: true,
        repeated: true,
      }),
    ],
    example: {
      arguments: said({ column: ['Mobile', 'Home'] }),
      value: '',
      columns: { Mobile: '', Home: '512 555 0101' },
      becomes: '512 555 0101',
    },
    readsBlank: true,
    compile: () => (_, cells) => cells.find((cell) => cell.trim() !== '') ?? '',
  }),
  transform({
    name: 'template',
    description: `Fills a text with columns: \`{First Name} {Last Name}\`. \`{{\` and \`}}\` are brackets. If all columns in it are blank, so is the value. ${OWN}`,
    parameters: [
      parameter({
        name: 'text',
        kind: 'TEMPLATE',
        description: 'The text, with names of columns in brackets.',
        required: true,
        mayBeBlank: false,
      }),
    ],
    example: {
      arguments: said({ text: '{Last Name}, {First Name}' }),
      value: '',
      columns: { 'First Name': 'Ada', 'Last Name': 'Lovelace' },
      becomes: 'Lovelace, Ada',
    },
    readsBlank: true,
    compile: (args) => {
      const parts = templateParts(args.text('text')) ?? []
      return (_, cells) => {
        if (cells.every((cell) => cell.trim() === '')) {
          return ''
        }
        let next = 0
        return concatenated(
          parts.map((part) => ('column' in part ? (cells[next++] ?? '') : part.text)),
          '',
        )
      }
    },
  }),
]
