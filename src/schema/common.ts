import 'reflect-metadata'
import type { ClassType } from 'type-graphql'
import { Field, ID, InterfaceType, ObjectType } from 'type-graphql'
import type { RefusalCode } from '../errors.js'
import { UserErrorCode } from './enums.js'
import { DateTime, SafeInt } from './scalars.js'

/** Objects that `node` can answer carry the name of their type. */
export interface Typed {
  readonly __typename: string
}

@InterfaceType('Node', { resolveType: (value: Typed) => value.__typename })
export class Node {
  @Field(() => ID)
  readonly id!: string
}

@ObjectType('PageInfo')
export class PageInfo {
  @Field(() => Boolean)
  readonly hasNextPage!: boolean

  @Field(() => Boolean)
  readonly hasPreviousPage!: boolean

  @Field(() => String, { nullable: true })
  readonly startCursor!: string | null

  @Field(() => String, { nullable: true })
  readonly endCursor!: string | null
}

@ObjectType('UserError')
export class UserError {
  @Field(() => UserErrorCode)
  readonly code!: RefusalCode

  @Field(() => [String], { nullable: true })
  readonly field!: readonly string[] | null

  @Field(() => String)
  readonly message!: string

  @Field(() => DateTime, {
    nullable: true,
    description: 'When trying again makes sense; null where it makes none or any time does.',
  })
  readonly retryAt!: Date | null
}

/** What every mutation answers beside its object. */
@ObjectType({ description: 'What every mutation answers.' })
export abstract class Payload {
  @Field(() => [UserError])
  readonly userErrors!: readonly UserError[]
}

/** A Relay connection as resolvers build it. */
export interface Connection<T> {
  readonly edges: readonly { readonly node: T; readonly cursor: string }[]
  readonly nodes: readonly T[]
  readonly pageInfo: PageInfo
  /** May be a getter that counts only when asked. */
  readonly totalCount?: number | Promise<number>
}

/** The types `<name>Edge` and `<name>Connection` over `node`; `counted` adds `totalCount`, and `edges` can be left out. */
export function connectionOf(
  name: string,
  node: () => ClassType | Function,
  counted: boolean,
  edges = true,
): ClassType {
  @ObjectType(`${name}Edge`)
  class Edge {
    @Field(node)
    readonly node!: unknown

    @Field(() => String)
    readonly cursor!: string
  }

  @ObjectType(`${name}Connection`)
  class ConnectionType {
    @Field(() => [node()])
    readonly nodes!: readonly unknown[]

    @Field(() => PageInfo)
    readonly pageInfo!: PageInfo
  }

  if (edges) {
    Field(() => [Edge])(ConnectionType.prototype, 'edges')
  }
  if (counted) {
    Field(() => SafeInt)(ConnectionType.prototype, 'totalCount')
  }
  return ConnectionType
}
