import 'reflect-metadata'
import { Arg, Ctx, Mutation, Query, Resolver } from 'type-graphql'
import { createApiKey, listApiKeys, revokeApiKey } from '../access/apiKeys.js'
import { isPermission } from '../access/permissions.js'
import type { ApiKey } from '../db/entities.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import {
  ApiKeyCreateInput,
  ApiKeyCreatePayload,
  ApiKeyPayload,
  ApiKeyRevokeInput,
  ApiKeyType,
} from '../schema/access.js'
import type { Typed } from '../schema/common.js'
import { type ApiContext, inTenant, may } from './context.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'

/** An API key as the API shows it. */
export function showApiKey(key: ApiKey): ApiKeyType & Typed & { readonly id: string } {
  return {
    __typename: 'ApiKey',
    id: encodeId('apiKey', key.id),
    name: key.name,
    prefix: key.prefix,
    permissions: key.permissions.filter(isPermission),
    createdAt: key.createdAt,
    lastUsedAt: key.lastUsedAt ?? null,
    expiresAt: key.expiresAt ?? null,
  }
}

@Resolver()
export class ApiKeyResolver {
  @Query(() => [ApiKeyType], { description: 'Keys that are not revoked, newest first.' })
  async apiKeys(@Ctx() context: ApiContext): Promise<ApiKeyType[]> {
    requirePermission(context, 'Query.apiKeys')
    const keys = await inTenant(context, listApiKeys)
    return keys.map(showApiKey)
  }

  @Mutation(() => ApiKeyCreatePayload)
  apiKeyCreate(
    @Ctx() context: ApiContext,
    @Arg('input', () => ApiKeyCreateInput) input: ApiKeyCreateInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.apiKeyCreate')
    return settled({ apiKey: null, secret: null }, async () => {
      const missing = input.permissions.filter((permission) => !may(context, permission))
      if (missing.length > 0) {
        throw new Refusal('INVALID_INPUT', `You cannot give what you may not do yourself: ${missing.join(', ')}.`, [
          'permissions',
        ])
      }
      const { key, secret } = await inTenant(context, (tx) =>
        createApiKey(tx, {
          name: input.name,
          permissions: input.permissions,
          expiresAt: input.expiresAt ?? null,
          actor: context.caller.actor,
        }),
      )
      return { apiKey: showApiKey(key), secret }
    })
  }

  @Mutation(() => ApiKeyPayload, { description: 'Ends a key at once and for good.' })
  apiKeyRevoke(
    @Ctx() context: ApiContext,
    @Arg('input', () => ApiKeyRevokeInput) input: ApiKeyRevokeInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.apiKeyRevoke')
    return settled({ apiKey: null }, async () => {
      const key = await inTenant(context, (tx) => revokeApiKey(tx, decodeId('apiKey', input.id)))
      return { apiKey: showApiKey(key) }
    })
  }
}
