import 'reflect-metadata'
import type { FileUpload } from 'graphql-upload-ts'
import { Field, ID, InputType, ObjectType } from 'type-graphql'
import { Node, Payload } from './common.js'
import { Confirmation, RecordTypeEnum } from './enums.js'
import { ImportOptionsInput, ImportRun, RunInterface } from './runs.js'
import { DateTime, Upload } from './scalars.js'

@ObjectType('BundleRun', {
  implements: [RunInterface, Node],
  description:
    'A run that writes all records of a tenant into one signed file, or one that takes such a file in. Of an export `counts.read` are ' +
    'the records written; of an import the counts are the sums of its import runs.',
})
export class BundleRun {
  @Field(() => [RecordTypeEnum], { description: 'In load order.' })
  readonly recordTypes!: readonly (keyof typeof RecordTypeEnum)[]

  @Field(() => [ImportRun], {
    description:
      'Of an import: the runs that take in one record type each, one after the other; each is made when those before it have ended. Empty for an export.',
  })
  readonly importRuns!: readonly ImportRun[]

  @Field(() => DateTime, { nullable: true, description: 'The moment that the bundle shows; null until it is known.' })
  readonly snapshotAt!: Date | null
}

@InputType('BundleExportInput', {
  description: 'Everything of the tenant, unmasked: getting the file needs PII_READ besides BUNDLE_RUN.',
})
export class BundleExportInput {
  @Field(() => [RecordTypeEnum], { nullable: true, description: 'All of them by default.' })
  readonly recordTypes?: (keyof typeof RecordTypeEnum)[] | null

  @Field(() => String)
  readonly idempotencyKey!: string

  @Field(() => String, {
    nullable: true,
    description: 'The bundle can be read with it alone. It is not kept; who forgets it has lost the bundle.',
  })
  readonly passphrase?: string | null
}

@InputType('BundleImportInput', {
  description:
    'Give `file` (multipart) or `fileId`. All of the bundle is verified before anything is written. A bundle of another tenant needs its ' +
    'consent, or a person who may do this in both tenants.',
})
export class BundleImportInput {
  @Field(() => Upload, { nullable: true })
  readonly file?: Promise<FileUpload> | null

  @Field(() => ID, { nullable: true })
  readonly fileId?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'From `bundleConsentCreate` of the tenant that made the bundle.',
  })
  readonly consentToken?: string | null

  @Field(() => ImportOptionsInput, {
    nullable: true,
    description:
      'For each of its import runs. `sourceSystem` is the bundle’s own, and records that wait for others do so: onMissingRelation is KEEP_PENDING by default.',
  })
  readonly options?: ImportOptionsInput | null

  @Field(() => String)
  readonly idempotencyKey!: string

  @Field(() => String, { nullable: true })
  readonly passphrase?: string | null

  @Field(() => Confirmation, {
    nullable: true,
    description: 'ALWAYS by default. With ASK each import run waits for its `importConfirm` when its turn has come.',
  })
  readonly confirmation?: 'ASK' | 'IF_NO_ERRORS' | 'ALWAYS' | null
}

@ObjectType('BundlePayload')
export class BundlePayload extends Payload {
  @Field(() => BundleRun, { nullable: true })
  readonly bundleRun!: BundleRun | null
}

@InputType('BundleConsentInput')
export class BundleConsentInput {
  @Field(() => ID, { description: 'A bundle of this tenant that has been written.' })
  readonly bundleRunId!: string

  @Field(() => ID, { description: 'The one tenant that may import it: its `viewer.tenantId`.' })
  readonly targetTenantId!: string
}

@ObjectType('BundleConsentPayload')
export class BundleConsentPayload extends Payload {
  @Field(() => String, { nullable: true, description: 'To be given to the other tenant. Good until it ends.' })
  readonly consentToken!: string | null

  @Field(() => DateTime, { nullable: true })
  readonly expiresAt!: Date | null
}
