import 'reflect-metadata'
import { Field, Float, InputType, Int, ObjectType } from 'type-graphql'
import type { MappingConflict as Conflict } from '../pipeline/types.js'
import { MappingConflictCode, OnBlankCell, RecordTypeEnum } from './enums.js'

@InputType('ValueMapEntryInput')
export class ValueMapEntryInput {
  @Field(() => String)
  readonly from!: string

  @Field(() => String)
  readonly to!: string
}

@InputType('ColumnMappingInput', {
  description:
    'How one column becomes one field. Name the column by `column` or `columnIndex` (from 0); give `constant` instead for a value that ' +
    'stands in no column. A reference is named with its key, e.g. `contact.email`. A column without `field` is left out.',
})
export class ColumnMappingInput {
  @Field(() => String, { nullable: true })
  readonly column?: string | null

  @Field(() => Int, { nullable: true })
  readonly columnIndex?: number | null

  @Field(() => String, { nullable: true })
  readonly field?: string | null

  @Field(() => String, { nullable: true })
  readonly constant?: string | null

  @Field(() => String, { nullable: true, description: 'Fills created records only.' })
  readonly defaultValue?: string | null

  @Field(() => [ValueMapEntryInput], { nullable: true, description: 'Replaces whole cells before they are read.' })
  readonly valueMap?: ValueMapEntryInput[] | null

  @Field(() => OnBlankCell, { nullable: true, description: 'As in the options of the import by default.' })
  readonly onBlank?: keyof typeof OnBlankCell | null

  @Field(() => String, {
    nullable: true,
    description:
      'Format of a date or number column, e.g. `dd/MM/yyyy`; by default the one that all values of the column prove.',
  })
  readonly format?: string | null
}

@ObjectType('ValueMapEntry')
export class ValueMapEntry {
  @Field(() => String)
  readonly from!: string

  @Field(() => String)
  readonly to!: string
}

@ObjectType('FieldSuggestion')
export class FieldSuggestion {
  @Field(() => String)
  readonly field!: string

  @Field(() => Float)
  readonly confidence!: number
}

@ObjectType('ColumnMapping')
export class ColumnMappingType {
  @Field(() => String, { nullable: true })
  readonly column!: string | null

  @Field(() => Int, { nullable: true })
  readonly columnIndex!: number | null

  @Field(() => String, {
    nullable: true,
    description: 'Null where no field is suggested with enough confidence; see alternatives.',
  })
  readonly field!: string | null

  @Field(() => String, { nullable: true })
  readonly constant!: string | null

  @Field(() => String, { nullable: true, description: 'Fills created records only.' })
  readonly defaultValue!: string | null

  @Field(() => [ValueMapEntry])
  readonly valueMap!: readonly ValueMapEntry[]

  @Field(() => OnBlankCell, { nullable: true, description: 'Null: as in the options of the import.' })
  readonly onBlank!: keyof typeof OnBlankCell | null

  @Field(() => String, {
    nullable: true,
    description: 'Null: the one that the values of the column prove, or none is needed.',
  })
  readonly format!: string | null

  @Field(() => Float, {
    nullable: true,
    description: 'Calibrated: of all suggestions made with 0.9, nine in ten are right. Null where a person decided.',
  })
  readonly confidence!: number | null

  @Field(() => [String], { description: 'Why, in words a person can check: the header, its synonym, the values.' })
  readonly reasons!: readonly string[]

  @Field(() => [FieldSuggestion])
  readonly alternatives!: readonly FieldSuggestion[]
}

@ObjectType('FormatReading')
export class FormatReading {
  @Field(() => String)
  readonly format!: string

  @Field(() => String)
  readonly exampleValue!: string

  @Field(() => String)
  readonly exampleReading!: string
}

@ObjectType('MappingConflict')
export class MappingConflict {
  @Field(() => String)
  readonly field!: string

  @Field(() => [String])
  readonly columns!: readonly string[]

  @Field(() => String)
  readonly message!: string

  @Field(() => MappingConflictCode)
  readonly code!: Conflict['code']

  @Field(() => [String], { description: 'Values that fit nothing, for UNKNOWN_VALUES.' })
  readonly values!: readonly string[]

  @Field(() => [FormatReading], { description: 'Each format that reads all values, for AMBIGUOUS_FORMAT.' })
  readonly readings!: readonly FormatReading[]
}

@ObjectType('Mapping')
export class Mapping {
  @Field(() => [ColumnMappingType])
  readonly columns!: readonly ColumnMappingType[]

  @Field(() => [MappingConflict])
  readonly conflicts!: readonly MappingConflict[]

  @Field(() => [String])
  readonly unmappedRequiredFields!: readonly string[]
}

@ObjectType('MappingSuggestion', { description: 'With `recordType` null, the type is guessed too.' })
export class MappingSuggestion {
  @Field(() => RecordTypeEnum)
  readonly recordType!: string

  @Field(() => Float)
  readonly recordTypeConfidence!: number

  @Field(() => Mapping)
  readonly mapping!: Mapping
}
