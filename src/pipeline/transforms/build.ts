/** Calls of transforms, made by code that suggests them. */
import type { TransformCall } from '../types.js'
import { said } from './definition.js'
import type { AddressPart, NamePart } from './parts.js'

/** Chains that a suggestion may hold. */
export const chains = {
  /** One part of a person's full name. */
  splitName: (part: NamePart): TransformCall[] => [{ name: 'splitName', arguments: said({ part }) }],
  /** One part of an address in one cell. */
  splitAddress: (part: AddressPart): TransformCall[] => [{ name: 'splitAddress', arguments: said({ part }) }],
  /** The value and other columns, by name, blank ones left out. */
  join: (columns: readonly string[], separator = ' '): TransformCall[] => [
    { name: 'join', arguments: said({ column: columns, separator }) },
  ],
  /** The value, or the first of other columns, by name, that is not blank. */
  firstNonEmpty: (columns: readonly string[]): TransformCall[] => [
    { name: 'firstNonEmpty', arguments: said({ column: columns }) },
  ],
  /** A text with columns in brackets: `{First Name} {Last Name}`. */
  template: (text: string): TransformCall[] => [{ name: 'template', arguments: said({ text }) }],
  /** Whole values replaced by others. */
  mapValues: (pairs: readonly { readonly from: string; readonly to: string }[]): TransformCall[] => [
    {
      name: 'mapValues',
      arguments: pairs.flatMap(({ from, to }) => [
        { name: 'from', value: from },
        { name: 'to', value: to },
      ]),
    },
  ],
  /** A part of the text between separators; 1 is the first, -1 the last. */
  split: (separator: string, part: number): TransformCall[] => [
    { name: 'split', arguments: said({ separator, part }) },
  ],
} as const
