/** Transforms that take one part of a name or an address. */
import { splitName } from '../names.js'
import { ADDRESS_LENGTH_MAX, splitAddress } from './address.js'
import { parameter, said, type TransformDefinition, transform } from './definition.js'

/** Longer texts are no name of a person. UTF-16 code units. */
const NAME_TEXT_LENGTH_MAX = 500

/** What `splitName` can take. */
export const nameParts = ['prefix', 'first', 'last', 'suffix'] as const
export type NamePart = (typeof nameParts)[number]

/** What `splitAddress` can take. */
export const addressParts = ['line1', 'city', 'state', 'postalCode', 'country'] as const
export type AddressPart = (typeof addressParts)[number]

export const partTransforms: readonly TransformDefinition[] = [
  transform({
    name: 'splitName',
    description:
      'Takes one part of the full name of a person, as `Dr. Anna Maria van der Berg jr.` or `Berg, Anna Maria`. ' +
      'A part that is not there is blank, as are all parts of a company.',
    parameters: [
      parameter({ name: 'part', kind: 'CHOICE', description: 'Which part.', required: true, choices: nameParts }),
    ],
    example: { arguments: said({ part: 'last' }), value: 'Dr. Anna van der Berg', becomes: 'van der Berg' },
    expects: () => `a name of at most ${NAME_TEXT_LENGTH_MAX} characters`,
    compile: (args) => {
      const part = args.text('part') as NamePart
      return (text) => (text.length > NAME_TEXT_LENGTH_MAX ? null : (splitName(text)?.[part] ?? ''))
    },
  }),
  transform({
    name: 'splitAddress',
    description:
      'Takes one part of an address in one cell, such as `12 Main St, Austin, TX 78701`, `12345 Berlin` or `Paris, France`. ' +
      'A part that is not there is blank; what cannot be told is in `line1`.',
    parameters: [
      parameter({
        name: 'part',
        kind: 'CHOICE',
        description: 'Which part; `country` is the ISO 3166-1 alpha-2 code.',
        required: true,
        choices: addressParts,
      }),
    ],
    example: { arguments: said({ part: 'postalCode' }), value: 'Austin, TX 78701', becomes: '78701' },
    expects: () => `an address of at most ${ADDRESS_LENGTH_MAX} characters`,
    compile: (args) => {
      const part = args.text('part') as AddressPart
      return (text) => {
        const address = splitAddress(text)
        return address === null ? null : (address[part] ?? '')
      }
    },
  }),
]
