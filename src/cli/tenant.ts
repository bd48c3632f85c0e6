/** `portage tenant export` and `portage tenant erase`: what an operator does for a tenant that leaves. */
import { join } from 'node:path'
import { eraseTenant } from '../access/erasure.js'
import { erasePerson } from '../access/person-erasure.js'
import { signToken } from '../access/tokens.js'
import { openFileStore } from '../adapters/files/storage.js'
import { type Config, cliSettings, loadConfig } from '../config.js'
import { decodeId } from '../ids.js'
import { Api, ApiError } from './api.js'
import { UsageError } from './arguments.js'
import { exportTo, readPassphrase } from './bundle.js'
import { findTenant, neededOwnerUrl } from './connect.js'
import { clean, counted, type Io, table } from './io.js'

/** A token for one export is good for so long. Seconds. */
const TOKEN_SECONDS = 86_400

/** Writes all of a tenant into one bundle, in its name. */
export async function exportTenant(
  nameOrId: string,
  values: {
    readonly output?: string | undefined
    readonly 'passphrase-file'?: string | undefined
    readonly json: boolean
  },
  io: Io,
): Promise<number> {
  if (values.output === undefined) {
    throw new UsageError('tenant export needs -o FILE: where the bundle is to be written.')
  }
  const config = loadConfig()
  if (config.verification.kind !== 'local') {
    throw new ApiError(
      'OUTSIDE_ISSUER',
      `Sign-in tokens come from ${config.verification.issuer} here: get one for the tenant there, and use \`bundle export\`.`,
    )
  }
  const found = await neededTenant(config, nameOrId)
  const token = await signToken(
    { tenantId: found.id, actor: 'operator', permissions: ['BUNDLE_RUN', 'PII_READ'], expiresIn: TOKEN_SECONDS },
    config,
  )
  const api = new Api({ url: cliSettings().url, token: async () => token, signal: io.signal })
  const passphrase = await readPassphrase(values['passphrase-file'])
  return exportTo(api, { path: values.output, passphrase, json: values.json }, io)
}

/** Erases a tenant for good: rows, then files. Goes on where it stopped when it is called again with the id. */
export async function eraseForGood(
  nameOrId: string,
  values: { readonly confirm?: string | undefined; readonly json: boolean },
  io: Io,
): Promise<number> {
  const config = loadConfig()
  const ownerUrl = neededOwnerUrl(config)
  const found = await findTenant(ownerUrl, nameOrId)
  // One whose rows are gone already is known by its id alone.
  const tenantId = found?.id ?? nameOrId.toLowerCase()
  if (found === null && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(tenantId)) {
    throw notFound(nameOrId)
  }
  const name = found?.name ?? tenantId
  const said =
    values.confirm ??
    (await io.ask(`Everything of the tenant "${clean(name)}" will be gone for good. Type its name to go on: `))
  if (said !== name) {
    throw new UsageError(`Nothing was erased. Say --confirm ${JSON.stringify(clean(name))} to erase the tenant.`)
  }
  let rows = 0
  const { deleted } = await eraseTenant(ownerUrl, tenantId, (_, some) => {
    rows += some
    io.status(`${counted(rows, 'row')} erased`)
  })
  const store = await openFileStore(config.store, join(config.dataDir, 'files'))
  let files = 0
  for (let found = -1; found !== 0; ) {
    found = 0
    // A list is read while it shrinks: once more, until nothing is left.
    for await (const page of store.list(tenantId)) {
      for (const { key } of page) {
        await store.delete(key)
        found += 1
        files += 1
      }
    }
  }
  io.status('')
  if (values.json) {
    io.out(JSON.stringify({ event: 'erased', tenantId, deleted, files }))
    return 0
  }
  const counts = Object.entries(deleted).toSorted(([a], [b]) => (a < b ? -1 : 1))
  table([['Table', 'Rows'], ...counts.map(([name, count]) => [name, String(count)])], [1]).forEach((line) =>
    io.out(line),
  )
  io.out(
    `Erased the tenant ${tenantId} and ${counted(files, 'file')}. Backups of the database and the store still hold it.`,
  )
  return 0
}

/** Erases a contact and what is about it for good; files of the tenant that may hold it go with it. */
export async function erasePersonForGood(
  nameOrId: string,
  contact: string,
  values: { readonly confirm?: string | undefined; readonly json: boolean },
  io: Io,
): Promise<number> {
  const config = loadConfig()
  const ownerUrl = neededOwnerUrl(config)
  const { id: tenantId } = await neededTenant(config, nameOrId)
  const said =
    values.confirm ??
    (await io.ask(
      `This contact, its leads and activities, all uploaded and exported files of the tenant and what problems of its runs quote will be gone for good. Type ${clean(contact)} to go on: `,
    ))
  if (said !== contact) {
    throw new UsageError(`Nothing was erased. Say --confirm ${clean(contact)} to erase the person.`)
  }
  const erased = await erasePerson(ownerUrl, tenantId, decodeId('contact', contact))
  const store = await openFileStore(config.store, join(config.dataDir, 'files'))
  for (const key of erased.files) {
    await store.delete(key)
  }
  const { records, rows, files } = erased
  if (values.json) {
    io.out(JSON.stringify({ event: 'erased', tenantId, contact, records, rows, files: files.length }))
    return 0
  }
  const counts = Object.entries({ ...records, ...rows }).toSorted(([a], [b]) => (a < b ? -1 : 1))
  table([['Table', 'Rows'], ...counts.map(([name, count]) => [name, String(count)])], [1]).forEach((line) =>
    io.out(line),
  )
  io.out(
    `Erased the contact ${clean(contact)} and ${counted(files.length, 'file')}. Backups of the database and the store still hold it.`,
  )
  return 0
}

async function neededTenant(config: Config, nameOrId: string): Promise<{ readonly id: string; readonly name: string }> {
  const found = await findTenant(neededOwnerUrl(config), nameOrId)
  if (found === null) {
    throw notFound(nameOrId)
  }
  return found
}

function notFound(nameOrId: string): ApiError {
  return new ApiError('NOT_FOUND', `There is no tenant "${clean(nameOrId)}". \`tenant list\` shows all.`)
}
