import 'reflect-metadata'
import { Field, Float, InputType, Int, ObjectType } from 'type-graphql'
import type { MappingConflict as Conflict } from '../pipeline/types.js'
import { CustomFieldInput } from './custom-fields.js'
import { MappingConflictCode, OnBlankCell, RecordTypeEnum } from './enums.js'

@InputType('ValueMapEntryInput')
export class ValueMapEntryInput {
  @Field(() => String)
  readonly from!: string

  @Field(() => String)
  readonly to!: string
}

@InputType('TransformArgumentInput')
export class TransformArgumentInput {
  @Field(() => String)
  readonly name!: string

  @Field(() => String)
  readonly value!: string
}

@InputType('TransformInput', { description: 'One of `transforms`, by its name.' })
export class TransformInput {
  @Field(() => String)
  readonly name!: string

  @Field(() => [TransformArgumentInput], {
    nullable: true,
    description: 'An argument that may be given several times stands here as often, in the order that counts.',
  })
  readonly arguments?: TransformArgumentInput[] | null
}

@InputType('ColumnMappingInput', {
  description:
    'How one column becomes one field. `transforms` are applied in order; they are declarative and run no code of the caller’s. Name the column by `column` or `columnIndex` (from 0); give `constant` instead for a value that ' +
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

  @Field(() => [TransformInput], {
    nullable: true,
    description:
      'Applied in order to the text of the cell, before `valueMap`. With one that reads other columns, such as `template`, the entry ' +
      'may do without a column of its own.',
  })
  readonly transforms?: TransformInput[] | null

  @Field(() => [ValueMapEntryInput], {
    nullable: true,
    description: 'Replaces whole cells, as transforms have left them, before they are read.',
  })
  readonly valueMap?: ValueMapEntryInput[] | null

  @Field(() => CustomFieldInput, {
    nullable: true,
    description:
      'Makes the custom field that the column becomes, in place of `field`, unless there is one with this key and kind. ' +
      'Needs what customFieldCreate needs.',
  })
  readonly createCustomField?: CustomFieldInput | null

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

@ObjectType('TransformArgument')
export class TransformArgument {
  @Field(() => String)
  readonly name!: string

  @Field(() => String)
  readonly value!: string
}

@ObjectType('Transform')
export class Transform {
  @Field(() => String)
  readonly name!: string

  @Field(() => [TransformArgument])
  readonly arguments!: readonly TransformArgument[]
}

@ObjectType('TransformParameter', { description: 'What can be said to a transform.' })
export class TransformParameter {
  @Field(() => String)
  readonly name!: string

  @Field(() => String)
  readonly description!: string

  @Field(() => Boolean)
  readonly required!: boolean

  @Field(() => Boolean, { description: 'May be given several times, in an order that counts.' })
  readonly repeated!: boolean

  @Field(() => String, { nullable: true, description: 'What counts when nothing is said; null for nothing.' })
  readonly defaultValue!: string | null

  @Field(() => [String], { description: 'All values that it takes; empty where there is no such list.' })
  readonly choices!: readonly string[]
}

@ObjectType('TransformDefinition', { description: 'A transform that a mapping can name.' })
export class TransformDefinition {
  @Field(() => String)
  readonly name!: string

  @Field(() => String)
  readonly description!: string

  @Field(() => [String], { description: 'Names of its arguments; `parameters` tells more of them.' })
  readonly arguments!: readonly string[]

  @Field(() => [TransformParameter])
  readonly parameters!: readonly TransformParameter[]

  @Field(() => String, { description: 'A call, and what it makes of a value.' })
  readonly example!: string
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
