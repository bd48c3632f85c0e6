/**
 * What a portability bundle is, for whoever writes or reads one; docs/PORTABILITY.md tells it to strangers. A bundle is a ZIP
 * archive whose comment signs every byte before it. With a passphrase the whole archive stands in an encrypted envelope.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { Refusal } from '../../errors.js'
import type { FieldKind, RecordTypeName } from '../../records/types.js'

/** What this service writes. Older versions are read by way of `upgradeManifest` and `upgradeRecord`. */
export const BUNDLE_VERSION = 1

/** Record types in the order in which their records can be loaded: what is referred to comes first. */
export const bundleOrder = ['contact', 'property', 'lead', 'activity'] as const satisfies readonly RecordTypeName[]

/** Name of the manifest in the archive. */
export const MANIFEST_NAME = 'manifest.json'

/** Name of the text for people. */
export const README_NAME = 'README.txt'

/** A stretch of records of one type: NDJSON, one entry of the archive. */
export interface BundlePart {
  readonly name: string
  /** Where the entry's data stand in the archive, and how many bytes they take there. */
  readonly offset: number
  readonly storedBytes: number
  /** The data are always raw DEFLATE; this is what they unpack to. */
  readonly bytes: number
  readonly records: number
  /** Of the unpacked bytes, lower-case hex. */
  readonly sha256: string
}

/** A built-in field as the origin had it: enough to read the values without this service. */
export interface BundleField {
  readonly name: string
  readonly label: string
  readonly kind: FieldKind
  /** Where the value is the id of another record of the bundle: of which type. `member`: an e-mail address. */
  readonly refersTo: RecordTypeName | 'member' | null
}

/** A field that the origin had made. */
export interface BundleCustomField {
  readonly key: string
  readonly label: string
  readonly kind: FieldKind
  readonly options: readonly string[] | null
}

/** One record type of a bundle. */
export interface BundleType {
  readonly recordType: RecordTypeName
  /** Records in all its parts. */
  readonly count: number
  readonly fields: readonly BundleField[]
  readonly customFields: readonly BundleCustomField[]
  readonly parts: readonly BundlePart[]
}

/** `manifest.json`, of the newest version. */
export interface BundleManifest {
  readonly format: 'portage-bundle'
  readonly formatVersion: typeof BUNDLE_VERSION
  /** Names this one bundle: a random UUID. */
  readonly bundleId: string
  /** When the bundle was written, and the moment whose records it holds. RFC 3339, UTC. */
  readonly createdAt: string
  readonly snapshotAt: string
  /** The tenant that it comes from, by a name that tells nothing and is the same in all its bundles. */
  readonly origin: string
  readonly signer: BundleSigner
  readonly readme: { readonly name: string; readonly bytes: number; readonly sha256: string }
  /** In load order. */
  readonly recordTypes: readonly BundleType[]
}

/** Who signed: the raw Ed25519 public key in base64url, and its id. */
export interface BundleSigner {
  readonly keyId: string
  readonly publicKey: string
}

/** One line of a part. What has no value has no member. */
export interface BundleRecord {
  /** Stable: the same record has it in every bundle of its tenant. */
  readonly id: string
  /** By the name of the field: text, also of numbers, days and moments; `true`, `false`; lists of texts. */
  readonly values: Readonly<Record<string, string | boolean | readonly string[]>>
  /** The same by the key of a custom field. */
  readonly customFields: Readonly<Record<string, string | boolean | readonly string[]>>
  /** By the name of the reference: the id of a record of this tenant. */
  readonly relations: Readonly<Record<string, string>>
  /** Where it was known before, the record's own source first. */
  readonly sources: readonly { readonly system: string; readonly id: string }[]
  readonly createdAt: string
  readonly updatedAt: string
}

/** The end of every archive, 152 bytes of ASCII: place and length of the manifest, the signing key and the signature. */
export interface Trailer {
  readonly manifestOffset: number
  readonly manifestBytes: number
  readonly keyId: string
  readonly signature: Buffer
}

const TRAILER = /^portage-bundle ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16}) ([A-Za-z0-9_-]{86})$/

/** Length of the signature's text at the very end of an archive. */
export const SIGNATURE_LENGTH = 86

/** Length of a trailer, which is the comment of the archive. Bytes. */
export const TRAILER_LENGTH = 'portage-bundle '.length + 3 * 17 + SIGNATURE_LENGTH

/** What stands before the signature in a trailer. */
export function trailerHead(manifestOffset: number, manifestBytes: number, keyId: string): string {
  const hex = (value: number) => value.toString(16).padStart(16, '0')
  return `portage-bundle ${hex(manifestOffset)} ${hex(manifestBytes)} ${keyId} `
}

/** The trailer in these bytes; null for anything that `trailerHead` and a signature do not make. */
export function readTrailer(bytes: Buffer): Trailer | null {
  const [, offset = '', length = '', keyId = '', text = ''] = TRAILER.exec(bytes.toString('latin1')) ?? []
  const signature = Buffer.from(text, 'base64url')
  const manifestOffset = Number.parseInt(offset, 16)
  const manifestBytes = Number.parseInt(length, 16)
  // The last character carries four bits that mean nothing: only one way of writing them is right.
  return text !== '' && signature.toString('base64url') === text && Number.isSafeInteger(manifestOffset + manifestBytes)
    ? { manifestOffset, manifestBytes, keyId, signature }
    : null
}

/** What the key signs: the SHA-256 of all bytes of the archive before the signature, with a purpose before it. */
export function signedText(sha256: Buffer): Buffer {
  return Buffer.concat([Buffer.from('portage bundle\n'), sha256])
}

/** The raw bytes of an Ed25519 public key in base64url, and the id that follows from them. */
export function signerOf(publicKey: KeyObject): BundleSigner {
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  return { keyId: createHash('sha256').update(raw).digest('hex').slice(0, 16), publicKey: raw.toString('base64url') }
}

/** The public key behind such a text; null for anything that is none. */
export function publicKeyOf(text: string): KeyObject | null {
  try {
    const raw = Buffer.from(text, 'base64url')
    return raw.length === 32 && raw.toString('base64url') === text
      ? createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text } })
      : null
  } catch {
    return null
  }
}

/** The refusal of a bundle that is not what its origin signed. `part` is what a person would call the place. */
export function tampered(part: string): Refusal {
  return new Refusal(
    'BUNDLE_TAMPERED',
    `The bundle is not as it was written: ${part} was changed, cut off or damaged on the way. Nothing of it was taken; get the bundle again from where it was made.`,
    ['file'],
  )
}

/** A manifest of any version that was ever released, as one of the newest. Refuses BUNDLE_TAMPERED for what is none. */
export function upgradeManifest(raw: unknown): { readonly version: number; readonly manifest: BundleManifest } {
  const { format, formatVersion } = (raw ?? {}) as { format?: unknown; formatVersion?: unknown }
  if (format !== 'portage-bundle' || typeof formatVersion !== 'number') {
    throw tampered(`the part ${MANIFEST_NAME}`)
  }
  if (formatVersion > BUNDLE_VERSION) {
    throw new Refusal(
      'FILE_TYPE_UNSUPPORTED',
      `The bundle is of format version ${formatVersion}; this service reads up to ${BUNDLE_VERSION}. Update it first.`,
      ['file'],
    )
  }
  const manifest = formatVersion === 0 ? manifestFromVersion0(raw as ManifestVersion0) : (raw as BundleManifest)
  return { version: formatVersion, manifest }
}

/** One line of a part of any version, as one of the newest. */
export function upgradeRecord(version: number, type: BundleType, raw: unknown): BundleRecord {
  return version === 0 ? recordFromVersion0(type, raw as RecordVersion0) : (raw as BundleRecord)
}

/** As before the first release: types by name, without a list of fields, and one moment for all. */
interface ManifestVersion0 {
  readonly bundleId: string
  readonly createdAt: string
  readonly origin: string
  readonly signer: BundleSigner
  readonly readme: BundleManifest['readme']
  readonly types: Readonly<
    Partial<
      Record<
        RecordTypeName,
        { readonly customFields: readonly BundleCustomField[]; readonly parts: readonly BundlePart[] }
      >
    >
  >
}

/** As before the first release: relations among the fields with `Id` behind their names, and one source at most. */
interface RecordVersion0 {
  readonly id: string
  readonly fields: Readonly<Record<string, string | boolean | readonly string[] | null>>
  readonly custom: readonly { readonly key: string; readonly value: string | boolean | readonly string[] }[]
  readonly sourceSystem: string | null
  readonly externalId: string | null
  readonly createdAt: string
}

function manifestFromVersion0(old: ManifestVersion0): BundleManifest {
  return {
    format: 'portage-bundle',
    formatVersion: BUNDLE_VERSION,
    bundleId: old.bundleId,
    createdAt: old.createdAt,
    snapshotAt: old.createdAt,
    origin: old.origin,
    signer: old.signer,
    readme: old.readme,
    recordTypes: bundleOrder.flatMap((recordType) => {
      const type = old.types[recordType]
      return type === undefined
        ? []
        : [
            {
              recordType,
              count: type.parts.reduce((sum, part) => sum + part.records, 0),
              fields: [],
              customFields: type.customFields,
              parts: type.parts,
            },
          ]
    }),
  }
}

const relationsOf: Readonly<Record<RecordTypeName, readonly string[]>> = {
  contact: ['organization'],
  property: ['ownerContact'],
  lead: ['contact', 'property'],
  activity: ['contact', 'lead', 'property'],
}

function recordFromVersion0({ recordType }: BundleType, old: RecordVersion0): BundleRecord {
  const relations = relationsOf[recordType].flatMap((name): [string, string][] => {
    const id = old.fields[`${name}Id`]
    return typeof id === 'string' ? [[name, id]] : []
  })
  const named = new Set(relations.map(([name]) => `${name}Id`))
  const values = Object.entries(old.fields).flatMap(
    ([name, value]): [string, string | boolean | readonly string[]][] =>
      value === null || named.has(name) ? [] : [[name, value]],
  )
  return {
    id: old.id,
    values: Object.fromEntries(values),
    customFields: Object.fromEntries(old.custom.map(({ key, value }) => [key, value])),
    relations: Object.fromEntries(relations),
    sources:
      old.externalId === null || old.sourceSystem === null ? [] : [{ system: old.sourceSystem, id: old.externalId }],
    createdAt: old.createdAt,
    updatedAt: old.createdAt,
  }
}
