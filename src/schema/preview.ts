import 'reflect-metadata'
import { Field, ObjectType } from 'type-graphql'
import { FileDetection } from './files.js'
import { MappingConflict } from './mapping.js'
import { CustomFieldValue } from './records.js'
import { Cell, RowIssue } from './runs.js'
import { SafeInt } from './scalars.js'

@ObjectType('PreviewRow')
export class PreviewRow {
  @Field(() => SafeInt)
  readonly rowNumber!: number

  @Field(() => [Cell], { description: 'As read.' })
  readonly cells!: readonly Cell[]

  @Field(() => [CustomFieldValue], {
    description:
      'What the row would become, by the names of fields: those that are mapped, null where the row leaves one as it is, and those ' +
      'that a new record gets built from them.',
  })
  readonly values!: readonly CustomFieldValue[]

  @Field(() => [RowIssue])
  readonly issues!: readonly RowIssue[]
}

@ObjectType('FilePreview')
export class FilePreview {
  @Field(() => FileDetection, { description: 'As read with the source options of the preview.' })
  readonly detection!: FileDetection

  @Field(() => [PreviewRow])
  readonly rows!: readonly PreviewRow[]

  @Field(() => [MappingConflict], {
    description:
      'What a person would have to decide, as far as the beginning of the file tells. Empty without a mapping.',
  })
  readonly conflicts!: readonly MappingConflict[]
}
