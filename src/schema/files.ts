import 'reflect-metadata'
import type { FileUpload } from 'graphql-upload-ts'
import { Field, Float, InputType, Int, ObjectType } from 'type-graphql'
import type { FieldKind } from '../records/types.js'
import { Node, Payload } from './common.js'
import { FieldKindEnum, FileCompression, FileFormat } from './enums.js'
import { DateTime, SafeInt, Upload } from './scalars.js'

@ObjectType('ValueCount')
export class ValueCount {
  @Field(() => String)
  readonly value!: string

  @Field(() => SafeInt)
  readonly count!: number
}

@ObjectType('SheetInfo', { description: 'A sheet of a workbook.' })
export class SheetInfo {
  @Field(() => String)
  readonly name!: string

  @Field(() => Int, { description: 'Position in the workbook, from 0.' })
  readonly index!: number

  @Field(() => Boolean, {
    description: 'Not shown by the spreadsheet program; read only when SourceOptionsInput names it.',
  })
  readonly hidden!: boolean

  @Field(() => SafeInt, { nullable: true, description: 'Null where the file does not say.' })
  readonly estimatedRowCount!: number | null
}

@ObjectType('DetectedColumn', { description: 'What the beginning of the file says about one column.' })
export class DetectedColumn {
  @Field(() => Int)
  readonly index!: number

  @Field(() => String)
  readonly name!: string

  @Field(() => FieldKindEnum)
  readonly kind!: FieldKind

  @Field(() => Float)
  readonly kindConfidence!: number

  @Field(() => Float)
  readonly fillRate!: number

  @Field(() => [String], { description: 'Empty without PII_READ.' })
  readonly samples!: readonly string[]

  @Field(() => SafeInt, {
    nullable: true,
    description: 'In the rows that were looked at; null where there were too many to count.',
  })
  readonly distinctCount!: number | null
}

@ObjectType('FileDetection', {
  description:
    'What was found by looking at the bytes, each with a confidence from 0 to 1. Every part can be overridden in SourceOptionsInput.',
})
export class FileDetection {
  @Field(() => FileFormat)
  readonly format!: string

  @Field(() => FileCompression)
  readonly compression!: string

  @Field(() => String, { nullable: true })
  readonly encoding!: string | null

  @Field(() => Float, { nullable: true })
  readonly encodingConfidence!: number | null

  @Field(() => String, { nullable: true })
  readonly delimiter!: string | null

  @Field(() => String, { nullable: true })
  readonly quote!: string | null

  @Field(() => Float, { nullable: true })
  readonly dialectConfidence!: number | null

  @Field(() => String, { nullable: true })
  readonly lineTerminator!: string | null

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether text that looks like a formula has a `'` in front in the values that were seen, as in exports: true where all of it has, false where some has not, null where there is none. An import looks at the whole file.",
  })
  readonly formulasEscaped?: boolean | null

  @Field(() => Int, { nullable: true, description: 'Row number of the header; null when the file has none.' })
  readonly headerRow!: number | null

  @Field(() => [SheetInfo], { description: 'Empty unless the file is a workbook.' })
  readonly sheets!: readonly SheetInfo[]

  @Field(() => String, {
    nullable: true,
    description: 'Name of the sheet that is read; null unless the file is a workbook.',
  })
  readonly sheet!: string | null

  @Field(() => String, {
    nullable: true,
    description:
      'Where the records stand in a JSON file, as dotted names; empty for the whole; null for other formats.',
  })
  readonly jsonPath!: string | null

  @Field(() => [DetectedColumn])
  readonly columns!: readonly DetectedColumn[]

  @Field(() => SafeInt, { nullable: true })
  readonly estimatedRowCount!: number | null

  @Field(() => [String])
  readonly warnings!: readonly string[]
}

@InputType('SourceOptionsInput', {
  description: 'What a person says about the file, over what was detected. Absent: as detected.',
})
export class SourceOptionsInput {
  @Field(() => FileFormat, { nullable: true })
  readonly format?: keyof typeof FileFormat | null

  @Field(() => String, {
    nullable: true,
    description: 'A name that the Encoding Standard of the web knows, e.g. `windows-1252` or `shift_jis`.',
  })
  readonly encoding?: string | null

  @Field(() => String, { nullable: true, description: 'One character.' })
  readonly delimiter?: string | null

  @Field(() => String, { nullable: true, description: '`"`, `\'`, or an empty text where quotes are ordinary text.' })
  readonly quote?: string | null

  @Field(() => Int, { nullable: true, description: 'Row number of the header; 0 for a file without one.' })
  readonly headerRow?: number | null

  @Field(() => String, { nullable: true, description: 'Name of the sheet of a workbook.' })
  readonly sheet?: string | null

  @Field(() => String, {
    nullable: true,
    description:
      'Where the records stand in a JSON file, as dotted names, e.g. `data.items`; empty for the whole file.',
  })
  readonly jsonPath?: string | null

  @Field(() => String, { nullable: true, description: '`.` or `,`.' })
  readonly decimalSeparator?: string | null

  @Field(() => String, { nullable: true, description: 'Format of all dates, e.g. `dd/MM/yyyy`.' })
  readonly dateFormat?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'IANA name, e.g. `Europe/Berlin`; times without an offset are read in it. UTC by default.',
  })
  readonly timeZone?: string | null

  @Field(() => String, {
    nullable: true,
    description:
      'ISO 3166-1 alpha-2 code for phone numbers without a country code; without it such numbers stay as they stand.',
  })
  readonly defaultCountry?: string | null

  @Field(() => Boolean, {
    nullable: true,
    description:
      "Whether text that looks like a formula was given a `'` in front, which is taken away again. By default where such cells are found in a CSV file and none that is a bare formula.",
  })
  readonly formulasEscaped?: boolean | null
}

@ObjectType('SourceFile', { implements: Node, description: 'An uploaded file. It never changes.' })
export class SourceFileType {
  @Field(() => String)
  readonly name!: string

  @Field(() => SafeInt)
  readonly byteSize!: number

  @Field(() => String)
  readonly sha256!: string

  @Field(() => DateTime)
  readonly uploadedAt!: Date

  @Field(() => DateTime)
  readonly expiresAt!: Date

  @Field(() => FileDetection)
  readonly detection!: FileDetection
}

@InputType('FileUploadInput')
export class FileUploadInput {
  @Field(() => Upload)
  readonly file!: Promise<FileUpload>

  @Field(() => String, { nullable: true, description: 'Instead of the name that came with the file.' })
  readonly name?: string | null

  @Field(() => String, {
    nullable: true,
    description: '64 hexadecimal digits; a file that arrived otherwise is refused.',
  })
  readonly sha256?: string | null

  @Field(() => SourceOptionsInput, { nullable: true })
  readonly source?: SourceOptionsInput | null

  @Field(() => String, { nullable: true })
  readonly idempotencyKey?: string | null
}

@ObjectType('FileUploadPayload')
export class FileUploadPayload extends Payload {
  @Field(() => SourceFileType, { nullable: true })
  readonly file!: SourceFileType | null
}
