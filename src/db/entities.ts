/**
 * Entities of the tables that people edit one row at a time. Runs and records are written set-based in SQL and have none.
 * Policies and grants stand in the migrations; nothing is generated from here.
 */
import { defineEntity, p } from '@mikro-orm/core'

const TenantSchema = defineEntity({
  name: 'Tenant',
  tableName: 'tenant',
  properties: {
    id: p.uuid().primary(),
    name: p.text(),
    createdAt: p
      .datetime()
      .fieldName('created_at')
      .onCreate(() => new Date()),
  },
})
/** One customer's workspace. */
export class Tenant extends TenantSchema.class {}
TenantSchema.setClass(Tenant)

const MemberSchema = defineEntity({
  name: 'Member',
  tableName: 'member',
  properties: {
    tenantId: p.uuid().fieldName('tenant_id').primary(),
    id: p.uuid().primary(),
    email: p.text(),
    name: p.text().nullable(),
    /** Null: whatever the member's token allows; else the token is narrowed to these. */
    permissions: p.array().nullable(),
    active: p.boolean().default(true),
    createdAt: p
      .datetime()
      .fieldName('created_at')
      .onCreate(() => new Date()),
  },
})
/** A person of the tenant: owner of records, and perhaps an actor. */
export class Member extends MemberSchema.class {}
MemberSchema.setClass(Member)

const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  tableName: 'api_key',
  properties: {
    tenantId: p.uuid().fieldName('tenant_id').primary(),
    id: p.uuid().primary(),
    name: p.text(),
    /** First characters of the secret, shown so that a person can tell keys apart. */
    prefix: p.text(),
    /** SHA-256 of the whole key; the key itself is shown once and kept nowhere. */
    secretHash: p.blob().fieldName('secret_hash'),
    permissions: p.array(),
    createdBy: p.text().fieldName('created_by'),
    createdAt: p
      .datetime()
      .fieldName('created_at')
      .onCreate(() => new Date()),
    lastUsedAt: p.datetime().fieldName('last_used_at').nullable(),
    expiresAt: p.datetime().fieldName('expires_at').nullable(),
    revokedAt: p.datetime().fieldName('revoked_at').nullable(),
  },
})
/** A key for scripts, with permissions of its own. */
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey)

const SourceFileSchema = defineEntity({
  name: 'SourceFile',
  tableName: 'source_file',
  properties: {
    tenantId: p.uuid().fieldName('tenant_id').primary(),
    id: p.uuid().primary(),
    name: p.text(),
    byteSize: p.bigint('number').fieldName('byte_size'),
    sha256: p.text(),
    storageKey: p.text().fieldName('storage_key'),
    detection: p.json<unknown>(),
    sourceOptions: p.json<unknown>().fieldName('source_options').nullable(),
    uploadedBy: p.text().fieldName('uploaded_by'),
    uploadedAt: p
      .datetime()
      .fieldName('uploaded_at')
      .onCreate(() => new Date()),
    expiresAt: p.datetime().fieldName('expires_at'),
    purgedAt: p.datetime().fieldName('purged_at').nullable(),
  },
})
/** An uploaded file: immutable from its first byte to its last. */
export class SourceFile extends SourceFileSchema.class {}
SourceFileSchema.setClass(SourceFile)

export const entities = [Tenant, Member, ApiKey, SourceFile]
