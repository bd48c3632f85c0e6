import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  envelopeKey,
  isEnvelope,
  newEnvelopeKey,
  openEnvelope,
  packEnvelopeKey,
  seal,
  unpackEnvelopeKey,
} from '../../../src/adapters/files/bundle-envelope.js'
import { type BundleRecord, publicKeyOf, signerOf, upgradeManifest } from '../../../src/adapters/files/bundle-format.js'
import { bundleRecords, type OpenedBundle, verifyBundle } from '../../../src/adapters/files/bundle-reader.js'
import { type BundleContent, writeBundle } from '../../../src/adapters/files/bundle-writer.js'
import type { OpenBytes } from '../../../src/adapters/files/bytes.js'
import { openZip } from '../../../src/adapters/files/zip.js'
import { Refusal } from '../../../src/errors.js'
import { Random } from '../../helpers/random.js'

const keys = generateKeyPairSync('ed25519')
const trusted = trustedOf(keys.publicKey)

function trustedOf(...all: readonly KeyObject[]): ReadonlyMap<string, KeyObject> {
  return new Map(all.map((key) => [signerOf(key).keyId, key]))
}

function bytesOf(data: Buffer): OpenBytes {
  return async () => ({
    byteSize: data.length,
    read: async (target, at, length, position) => {
      const taken = data.subarray(position, position + length)
      target.set(taken, at)
      return taken.length
    },
    [Symbol.asyncDispose]: async () => undefined,
  })
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) {
    all.push(chunk)
  }
  return Buffer.concat(all)
}

const nasty = ['Zoë "Q" O’Neil', '007', '=1+1', 'a\r\nb\u2028c', '👩‍👩‍👧', '\\N', 'tab\there', '{}', '٣']

function record(number: number): BundleRecord {
  return {
    id: `id${number}`,
    values: { displayName: nasty[number % nasty.length] ?? '', tags: ['a', 'b;c'], emailOptOut: number % 2 === 0 },
    customFields: { height: '1.50' },
    relations: number % 3 === 0 ? { organization: 'id1' } : {},
    sources: [{ system: 'salesforce', id: `00Q${number}` }],
    createdAt: '2026-01-02T03:04:05.678901Z',
    updatedAt: '2026-01-02T03:04:05.678901Z',
  }
}

function content(count: number): BundleContent {
  const lines = async function* (): AsyncGenerator<string> {
    for (let number = 0; number < count; number += 1) {
      yield JSON.stringify(record(number))
    }
  }
  return {
    createdAt: new Date('2026-11-23T10:00:00Z'),
    snapshotAt: new Date('2026-11-23T09:59:58Z'),
    origin: 'abc123',
    types: [
      {
        recordType: 'contact',
        fields: [{ name: 'displayName', label: 'Full name', kind: 'TEXT', refersTo: null }],
        customFields: [{ key: 'height', label: 'Height', kind: 'DECIMAL', options: null }],
        records: lines,
      },
      { recordType: 'lead', fields: [], customFields: [], records: async function* () {} },
    ],
  }
}

async function readAll(open: OpenBytes, bundle: OpenedBundle): Promise<BundleRecord[]> {
  const all: BundleRecord[] = []
  for (const type of bundle.manifest.recordTypes) {
    for await (const one of bundleRecords(open, bundle, type)) {
      all.push(one)
    }
  }
  return all
}

const isTampered = (error: unknown): boolean => error instanceof Refusal && error.code === 'BUNDLE_TAMPERED'

test('what was written into a bundle is read from it, part by part, and ordinary programs can unpack it', async () => {
  const told: number[] = []
  const data = await collect(writeBundle(content(30_000), keys, undefined, (records) => void told.push(records)))
  const open = bytesOf(data)
  const bundle = await verifyBundle(open, trusted)
  assert.equal(bundle.trusted, true)
  assert.equal(bundle.manifest.recordTypes[0]?.count, 30_000)
  assert.ok((bundle.manifest.recordTypes[0]?.parts.length ?? 0) > 1)
  assert.equal(told.at(-1), 30_000)
  const records = await readAll(open, bundle)
  assert.equal(records.length, 30_000)
  assert.ok(records.every((one, number) => number % 997 > 0 || JSON.stringify(one) === JSON.stringify(record(number))))

  const names = (await openZip(await open())).entries.map(({ name }) => name)
  assert.deepEqual([names[0], names[1], names.at(-1)], ['README.txt', 'contact/000001.ndjson', 'manifest.json'])
})

test('a bundle of somebody else’s key is whole but not trusted', async () => {
  const open = bytesOf(await collect(writeBundle(content(3), keys)))
  const bundle = await verifyBundle(open, trustedOf(generateKeyPairSync('ed25519').publicKey))
  assert.equal(bundle.trusted, false)
  assert.equal((await readAll(open, bundle)).length, 3)
})

test('a bundle that is signed anew in somebody else’s name is refused', async () => {
  const data = await collect(writeBundle(content(3), keys))
  const stranger = generateKeyPairSync('ed25519')
  const forged = await collect(writeBundle(content(4), { ...stranger, publicKey: keys.publicKey }))
  assert.equal(data.length > 0, true)
  await assert.rejects(verifyBundle(bytesOf(forged), trusted), isTampered)
  await assert.rejects(verifyBundle(bytesOf(forged), new Map()), isTampered)
})

test('every one-byte change of a bundle is refused, with and without a passphrase', async () => {
  const random = new Random(20_261_123)
  const plain = await collect(writeBundle(content(200), keys))
  const key = await newEnvelopeKey('correct horse battery')
  const sealed = await collect(seal(one(plain), key))
  for (let trial = 0; trial < 1000; trial += 1) {
    const isSealed = trial % 2 === 1
    const data = Buffer.from(isSealed ? sealed : plain)
    // Heads and tails of the file are a small part of its bytes, and what a careless reader does not look at.
    const span = trial % 5 === 0 ? 200 : data.length
    const at = trial % 10 === 0 ? data.length - 1 - random.below(span) : random.below(span)
    data[at] = (data[at] ?? 0) ^ (1 + random.below(255))
    const open = bytesOf(data)
    await assert.rejects(
      async () => {
        // The passphrase itself is right: what proves it comes from the header that may have been changed.
        const inside = isSealed && (await isEnvelope(open)) ? openEnvelope(open, key) : open
        await verifyBundle(inside, trial % 3 === 0 ? new Map() : trusted)
      },
      isTampered,
      `byte ${at}`,
    )
  }
})

test('a cut or longer file is refused', async () => {
  const plain = await collect(writeBundle(content(2000), keys))
  const key = await newEnvelopeKey('correct horse battery')
  const sealed = await collect(seal(one(plain), key))
  for (const cut of [0, 1, 20, 500, 66_000]) {
    await assert.rejects(verifyBundle(bytesOf(plain.subarray(0, cut === 0 ? 0 : -cut)), trusted), isTampered)
    await assert.rejects(
      () => verifyBundle(openEnvelope(bytesOf(sealed.subarray(0, cut === 0 ? 0 : -cut)), key), trusted),
      isTampered,
    )
  }
  await assert.rejects(verifyBundle(bytesOf(Buffer.concat([plain, Buffer.from('x')])), trusted), isTampered)
  await assert.rejects(
    () => verifyBundle(openEnvelope(bytesOf(Buffer.concat([sealed, Buffer.from('x')])), key), trusted),
    isTampered,
  )
})

test('the message names the part that was changed', async () => {
  const data = await collect(writeBundle(content(50), keys))
  const bundle = await verifyBundle(bytesOf(data), trusted)
  const part = bundle.manifest.recordTypes[0]?.parts[0]
  assert.ok(part)
  data[part.offset + 10] = (data[part.offset + 10] ?? 0) ^ 1
  await assert.rejects(verifyBundle(bytesOf(data), trusted), /the part contact\/000001\.ndjson/)
})

test('an envelope opens with its passphrase alone, however it was typed', async () => {
  const plain = await collect(writeBundle(content(3000), keys))
  const sealed = await collect(seal(one(plain), await newEnvelopeKey('Pässword for Zoë')))
  const open = bytesOf(sealed)
  assert.equal(await isEnvelope(open), true)
  assert.equal(sealed.includes('manifest.json'), false)
  const key = await envelopeKey(open, 'Pässword for Zoë'.normalize('NFD'))
  const inside = openEnvelope(open, unpackEnvelopeKey(packEnvelopeKey(key)))
  assert.equal((await readAll(inside, await verifyBundle(inside, trusted))).length, 3000)
  const wrong = (error: unknown) => error instanceof Refusal && error.code === 'PASSPHRASE_WRONG'
  await assert.rejects(envelopeKey(open, 'Password for Zoe'), wrong)
  await assert.rejects(verifyBundle(open, trusted), wrong)
})

test('a bundle of format version 0 is upgraded on reading, and a later version is refused', async () => {
  const folder = join(process.cwd(), 'test/fixtures/bundle')
  const data = readFileSync(join(folder, 'version-0.zip'))
  const key = publicKeyOf(readFileSync(join(folder, 'version-0.key'), 'utf8').trim())
  assert.ok(key)
  const open = bytesOf(data)
  const bundle = await verifyBundle(open, trustedOf(key))
  assert.deepEqual([bundle.version, bundle.manifest.formatVersion], [0, 1])
  assert.deepEqual(
    bundle.manifest.recordTypes.map(({ recordType, count }) => [recordType, count]),
    [
      ['contact', 2],
      ['activity', 1],
    ],
  )
  const [organization, person, activity] = await readAll(open, bundle)
  assert.deepEqual(person?.relations, { organization: organization?.id })
  assert.deepEqual(person?.values, { firstName: 'Zoë', lastName: 'Ångström', emailOptOut: true })
  assert.deepEqual(person?.customFields, { height: '1.5' })
  assert.deepEqual(organization?.sources, [{ system: 'salesforce', id: '001A' }])
  assert.deepEqual(activity?.relations, { contact: person?.id })
  assert.throws(
    () => upgradeManifest({ ...bundle.manifest, formatVersion: 2 }),
    /format version 2; this service reads up to 1/,
  )
})

async function* one(data: Buffer): AsyncGenerator<Buffer> {
  yield data.subarray(0, 1000)
  yield data.subarray(1000)
}
