import 'reflect-metadata'
import { Field, ID, InputType, ObjectType } from 'type-graphql'
import { Node, Payload } from './common.js'
import { SourceOptionsInput } from './files.js'
import { DateTime, SafeInt } from './scalars.js'

@ObjectType('UploadSession', {
  implements: Node,
  description: 'A resumable upload: send the bytes with ranged PUT requests to `url`; `offset` says how far it got.',
})
export class UploadSessionType {
  @Field(() => String)
  readonly url!: string

  @Field(() => SafeInt, { description: 'Bytes that have arrived; the next PUT begins here.' })
  readonly offset!: number

  @Field(() => SafeInt)
  readonly byteSize!: number

  @Field(() => DateTime, { description: 'Moves on with every byte that arrives.' })
  readonly expiresAt!: Date
}

@InputType('UploadBeginInput')
export class UploadBeginInput {
  @Field(() => String)
  readonly name!: string

  @Field(() => SafeInt)
  readonly byteSize!: number

  @Field(() => String, { description: '64 hexadecimal digits, of the whole file.' })
  readonly sha256!: string

  @Field(() => String)
  readonly idempotencyKey!: string
}

@ObjectType('UploadSessionPayload')
export class UploadSessionPayload extends Payload {
  @Field(() => UploadSessionType, { nullable: true })
  readonly uploadSession!: UploadSessionType | null
}

@InputType('UploadCompleteInput')
export class UploadCompleteInput {
  @Field(() => ID)
  readonly uploadSessionId!: string

  @Field(() => SourceOptionsInput, { nullable: true })
  readonly source?: SourceOptionsInput | null
}
