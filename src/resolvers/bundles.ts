import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from 'type-graphql'
import { type BundleSecrets, bundleSecrets, makeConsent, readConsent } from '../access/bundles.js'
import { once } from '../access/idempotency.js'
import { findMemberByEmail } from '../access/members.js'
import { requireSpace } from '../access/space.js'
import { addCustomFields, loadRecordType } from '../adapters/crm/custom-fields.js'
import {
  envelopeKey,
  isEnvelope,
  newEnvelopeKey,
  openEnvelope,
  packEnvelopeKey,
} from '../adapters/files/bundle-envelope.js'
import { type BundleType, bundleOrder } from '../adapters/files/bundle-format.js'
import { type OpenedBundle, verifyBundle } from '../adapters/files/bundle-reader.js'
import type { PoolTx } from '../db/database.js'
import { Tenant } from '../db/entities.js'
import { first, withTenant } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import { BUNDLE_PASSPHRASE_LENGTH_MAX, BUNDLE_PASSPHRASE_LENGTH_MIN } from '../limits.js'
import { checkedCustomField } from '../records/custom.js'
import type { RecordTypeName } from '../records/types.js'
import { createBundleExport, createBundleImport } from '../runs/bundles.js'
import { defaultImportOptions } from '../runs/imports.js'
import { findRun, importsOf } from '../runs/read.js'
import {
  BundleConsentInput,
  BundleConsentPayload,
  BundleExportInput,
  BundleImportInput,
  BundlePayload,
  BundleRun,
} from '../schema/bundles.js'
import { ImportRun } from '../schema/runs.js'
import { type ApiContext, inTenant } from './context.js'
import { importOptions } from './inputs.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { discard, receiveBundle, record } from './uploads.js'
import { type BundleRunView, type RunView, recordTypeOf, showRun } from './views.js'

/** Made once: the keys of a process do not change. */
const known = new WeakMap<object, BundleSecrets>()

function secretsOf({ services }: ApiContext): BundleSecrets {
  const made = known.get(services.config) ?? bundleSecrets(services.config)
  known.set(services.config, made)
  return made
}

@Resolver(() => BundleRun)
export class BundleResolver {
  @Mutation(() => BundlePayload, { description: 'Writes all records of the tenant into one signed file.' })
  bundleExport(
    @Ctx() context: ApiContext,
    @Arg('input', () => BundleExportInput) input: BundleExportInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.bundleExport')
    return settled({ bundleRun: null }, async () => {
      await requireSpace(context.services.spaceNow, 0)
      const asked = new Set((input.recordTypes ?? []).map(recordTypeOf))
      const recordTypes = bundleOrder.filter((name) => asked.size === 0 || asked.has(name))
      const passphrase = checkedPassphrase(input.passphrase)
      // Never as it is: the key of an idempotency record can be tried at leisure.
      const key = passphrase === null ? null : await newEnvelopeKey(passphrase)
      const envelope = key === null ? null : secretsOf(context).seal(packEnvelopeKey(key))
      const request = {
        key: input.idempotencyKey,
        operation: 'bundleExport',
        input: { recordTypes, encrypted: passphrase !== null },
      }
      return inTenant(context, async (tx) => {
        const { id } = await once(tx, request, () =>
          createBundleExport(tx, { actor: context.caller.actor, recordTypes, envelope }),
        )
        return { bundleRun: await show(context, tx, id) }
      })
    })
  }

  @Mutation(() => BundlePayload, {
    description:
      'Takes a bundle in by ordinary imports, one for each record type, in an order in which relations are there.',
  })
  bundleImport(
    @Ctx() context: ApiContext,
    @Arg('input', () => BundleImportInput) input: BundleImportInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.bundleImport')
    return settled({ bundleRun: null }, async () => {
      if ((input.file == null) === (input.fileId == null)) {
        throw new Refusal('INVALID_INPUT', 'Give either `file` or `fileId`.', ['file'])
      }
      if (input.options?.sourceSystem != null) {
        throw new Refusal('INVALID_INPUT', 'The source system of a bundle is its own.', ['options', 'sourceSystem'])
      }
      return { bundleRun: input.file == null ? await importStored(context, input) : await importUpload(context, input) }
    })
  }

  @Mutation(() => BundleConsentPayload, {
    description: 'Allows one other tenant to import one bundle of this tenant, until the consent ends.',
  })
  bundleConsentCreate(
    @Ctx() context: ApiContext,
    @Arg('input', () => BundleConsentInput) input: BundleConsentInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.bundleConsentCreate')
    return settled({ consentToken: null, expiresAt: null }, async () => {
      const run = await inTenant(context, (tx) => findRun(tx, decodeId('run', input.bundleRunId)))
      if (run === null || run.kind !== 'BUNDLE_EXPORT') {
        throw new Refusal('NOT_FOUND', 'There is no bundle of this tenant with this id.', ['bundleRunId'])
      }
      if (run.status !== 'COMPLETED' || run.bundleId === null) {
        throw new Refusal('INVALID_STATE', `The bundle has not been written: it is ${run.status}.`, ['bundleRunId'])
      }
      // It may be a tenant of another deployment: only its form can be checked.
      if (!/^tnt_[0-9a-z]{26}$/.test(input.targetTenantId)) {
        throw new Refusal('INVALID_INPUT', 'This is no id of a tenant; `viewer.tenantId` is one.', ['targetTenantId'])
      }
      const { token, expiresAt } = makeConsent(secretsOf(context), run.bundleId, input.targetTenantId)
      return { consentToken: token, expiresAt }
    })
  }

  @FieldResolver(() => [ImportRun])
  async importRuns(@Root() { run }: BundleRunView, @Ctx() context: ApiContext): Promise<RunView[]> {
    const runs = await inTenant(context, (tx) => importsOf(tx, run.id))
    return runs.map((one) => showRun(context, one))
  }
}

function checkedPassphrase(text: string | null | undefined): string | null {
  if (text === null || text === undefined) {
    return null
  }
  const { length } = text.normalize('NFKC')
  if (length < BUNDLE_PASSPHRASE_LENGTH_MIN || length > BUNDLE_PASSPHRASE_LENGTH_MAX) {
    throw new Refusal(
      'INVALID_INPUT',
      `A passphrase has ${BUNDLE_PASSPHRASE_LENGTH_MIN} to ${BUNDLE_PASSPHRASE_LENGTH_MAX} characters.`,
      ['passphrase'],
    )
  }
  return text
}

async function importUpload(context: ApiContext, input: BundleImportInput): Promise<RunView> {
  const received = await receiveBundle(context, input.file!)
  let recorded = false
  try {
    const bundle = await verified(context, received.stored.key, input)
    return await inTenant(context, async (tx) => {
      const { id, repeated } = await start(context, tx, input, received.stored.sha256, bundle, () =>
        record(context, tx, received),
      )
      const run = await show(context, tx, id)
      recorded = !repeated
      return run
    })
  } finally {
    if (!recorded) {
      await discard(context, received)
    }
  }
}

async function importStored(context: ApiContext, input: BundleImportInput): Promise<RunView> {
  const fileId = decodeId('file', input.fileId ?? '')
  const file = await context.loaders.file(fileId)
  if (file === null || file.purgedAt != null) {
    throw new Refusal('NOT_FOUND', 'There is no file with this id, or its retention has ended.', ['fileId'])
  }
  const bundle = await verified(context, file.storageKey, input)
  return inTenant(context, async (tx) => {
    const { id } = await start(context, tx, input, file.sha256, bundle, async () => fileId)
    return show(context, tx, id)
  })
}

interface Verified extends OpenedBundle {
  readonly envelope: Buffer | null
}

/** Opens and verifies all of a stored bundle, and sees to it that its origin agrees. */
async function verified(context: ApiContext, key: string, input: BundleImportInput): Promise<Verified> {
  const secrets = secretsOf(context)
  const outside = context.services.files.openBytes(key)
  let inside = outside
  let envelope: Buffer | null = null
  if (input.passphrase != null && (await isEnvelope(outside))) {
    const opened = await envelopeKey(outside, input.passphrase)
    inside = openEnvelope(outside, opened)
    envelope = secrets.seal(packEnvelopeKey(opened))
  }
  const bundle = await verifyBundle(inside, secrets.trusted, context.signal)
  await requireConsent(context, bundle, input.consentToken ?? null)
  return { ...bundle, envelope }
}

/** Refuses CONSENT_REQUIRED unless the tenant that made the bundle agrees that this one takes it. */
async function requireConsent(context: ApiContext, bundle: OpenedBundle, token: string | null): Promise<void> {
  const secrets = secretsOf(context)
  const { manifest } = bundle
  if (!bundle.trusted) {
    throw new Refusal(
      'CONSENT_REQUIRED',
      `The bundle comes from another deployment, whose key ${manifest.signer.keyId} is not trusted here. Your operator can add its public key ${manifest.signer.publicKey} to PORTAGE_BUNDLE_KEYS once it is certain whose it is.`,
      ['file'],
    )
  }
  const ours = manifest.signer.keyId === secrets.keyId
  const origin = ours ? secrets.tenantOf(manifest.origin) : null
  if (origin === context.caller.tenantId) {
    return
  }
  if (token !== null) {
    const consent = readConsent(secrets, token, manifest.signer.keyId)
    if (
      consent?.bundleId === manifest.bundleId &&
      consent.targetTenantId === encodeId('tenant', context.caller.tenantId)
    ) {
      return
    }
    throw new Refusal(
      'CONSENT_REQUIRED',
      'The consent is not for this bundle and this tenant, or it has ended. Ask the tenant that made the bundle for a new one.',
      ['consentToken'],
    )
  }
  if (origin !== null && (await maySpeakFor(context, origin))) {
    return
  }
  throw new Refusal(
    'CONSENT_REQUIRED',
    'The bundle is another tenant’s. Give the consent that it made with bundleConsentCreate.',
    ['consentToken'],
  )
}

/**
 * Whether the caller is a person who may do this in the tenant of the bundle as well: an active member of it whose permissions
 * name BUNDLE_RUN and PII_READ. Members whose permissions are not narrowed have what their tokens say, and there is none of that
 * tenant here.
 */
async function maySpeakFor({ caller, services }: ApiContext, origin: string): Promise<boolean> {
  if (caller.identity.kind !== 'user') {
    return false
  }
  return withTenant(services.database, origin, async (tx) => {
    const tenant = await tx.em.findOne(Tenant, { id: origin })
    const member = tenant === null ? null : await findMemberByEmail(tx, caller.actor)
    const allowed: readonly string[] = member?.permissions ?? []
    return member?.active === true && allowed.includes('BUNDLE_RUN') && allowed.includes('PII_READ')
  })
}

/** Creates the run over the file that `prepare` answers, once per idempotency key. */
async function start(
  context: ApiContext,
  tx: PoolTx,
  input: BundleImportInput,
  sha256: string,
  { manifest, envelope }: Verified,
  prepare: () => Promise<string>,
): Promise<{ readonly id: string; readonly repeated: boolean }> {
  const confirmation = input.confirmation ?? 'ALWAYS'
  const asked = { file: sha256, options: input.options, confirmation }
  return once(tx, { key: input.idempotencyKey, operation: 'bundleImport', input: asked }, async () => {
    for (const type of manifest.recordTypes) {
      await addFields(context, tx, type)
    }
    const options = importOptions(input.options)
    return createBundleImport(tx, {
      actor: context.caller.actor,
      sourceFileId: await prepare(),
      recordTypes: bundleOrder.filter((name) => manifest.recordTypes.some(({ recordType }) => recordType === name)),
      bundleId: manifest.bundleId,
      origin: manifest.origin,
      snapshotAt: new Date(manifest.snapshotAt),
      total: manifest.recordTypes.reduce((sum, { count }) => sum + count, 0),
      envelope,
      options: {
        ...defaultImportOptions,
        ...options,
        onMissingRelation: options.onMissingRelation ?? 'KEEP_PENDING',
        sourceSystem: `portage/${manifest.origin}`,
      },
      confirmation,
    })
  })
}

/** The custom fields of the bundle, made where they are missing. Refuses INVALID_INPUT where one of that key is another thing here. */
async function addFields({ caller }: ApiContext, tx: PoolTx, { recordType, customFields }: BundleType): Promise<void> {
  const path = ['file']
  const standing = await loadRecordType(tx, recordType)
  const isThere = new Set(standing.fields.flatMap(({ customKey }) => customKey ?? []))
  const gone = await first<{ key: string }>(
    tx,
    `select key from custom_field where tenant_id = $1 and record_type = $2 and key = any ($3::text[]) and to_version is not null
       and not key = any ($4::text[]) order by key limit 1`,
    [tx.tenantId, recordType, customFields.map(({ key }) => key), [...isThere]],
  )
  if (gone !== null) {
    throw new Refusal(
      'INVALID_INPUT',
      `The bundle has values for the custom field ${gone.key} of ${nameOf(recordType)}, which is archived here. Create it again first, with the same kind.`,
      path,
    )
  }
  try {
    const fields = customFields.map((field) => ({ field: checkedCustomField(field, path), path }))
    await addCustomFields(tx, recordType, fields, { actor: caller.actor, known: 'USE' })
  } catch (error) {
    throw error instanceof Refusal
      ? new Refusal(
          error.code,
          `The bundle’s custom fields of ${nameOf(recordType)} do not fit: ${error.message}`,
          path,
        )
      : error
  }
}

function nameOf(name: RecordTypeName): string {
  return { contact: 'contacts', property: 'properties', lead: 'leads', activity: 'activities' }[name]
}

async function show(context: ApiContext, tx: PoolTx, id: string): Promise<RunView> {
  const run = await findRun(tx, id)
  if (run === null) {
    throw new Error('a bundle is gone in the transaction that made it')
  }
  return showRun(context, run)
}
