/**
 * The services' own client libraries read the simulators: they were written by people who know the services and nothing of this
 * project, so what they cannot read, or read otherwise than the simulator says, is no answer of the service.
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Client } from '@hubspot/api-client'
import { Connection } from 'jsforce'
import type { Simulator } from './common/types.js'
import { startHubspot } from './hubspot/index.js'
import { startPipedrive } from './pipedrive/index.js'
import { startSalesforce, VERSION } from './salesforce/index.js'

// Its ES modules cannot be loaded by Node; what it exports to CommonJS can.
const load = createRequire(import.meta.url)
const v1 = load('pipedrive/v1') as typeof import('pipedrive/v1')
const v2 = load('pipedrive/v2') as typeof import('pipedrive/v2')

type Told = Readonly<Record<string, unknown>>

/** Of each record what `pick` takes, in the order of ids. */
function told(rows: Iterable<Told>, pick: (row: Told) => unknown): unknown[] {
  return [...rows]
    .map(pick)
    .map((one) => JSON.stringify(one))
    .toSorted()
}

function truth(simulator: Simulator, object: string, pick: (row: Told) => unknown): unknown[] {
  return told(simulator.rows(object), pick)
}

test("Pipedrive's client reads the simulated company as it is", async () => {
  const simulator = await startPipedrive({
    limits: false,
    nasty: false,
    counts: { persons: 620, deals: 40, notes: 230, leads: 210 },
  })
  try {
    const { accessToken } = simulator.oauth.connect()
    const second = new v2.Configuration({ accessToken, basePath: `${simulator.url}/api/v2` })
    const first = new v1.Configuration({ accessToken, basePath: `${simulator.url}/v1` })
    const persons: Told[] = []
    const api = new v2.PersonsApi(second)
    for (let cursor: string | undefined, more = true; more; ) {
      const answer = await api.getPersons({ limit: 200, ...(cursor === undefined ? {} : { cursor }) })
      persons.push(...((answer.data ?? []) as unknown as Told[]))
      cursor = answer.additional_data?.next_cursor ?? undefined
      more = cursor !== undefined
    }
    const named = ({ id, name, emails, org_id: company }: Told) => [id, name, emails, company]
    assert.deepEqual(told(persons, named), truth(simulator, 'persons', named))
    const notes: Told[] = []
    const noted = new v1.NotesApi(first)
    for (let start = 0, more = true; more; start += 100) {
      const answer = await noted.getNotes({ start, limit: 100 })
      notes.push(...((answer.data ?? []) as unknown as Told[]))
      more = answer.additional_data?.pagination?.more_items_in_collection === true
    }
    const content = ({ id, content: text }: Told) => [id, text]
    assert.deepEqual(told(notes, content), truth(simulator, 'notes', content))
    const fields = await new v2.PersonFieldsApi(second).getPersonFields({ limit: 500 })
    assert.ok((fields.data ?? []).length > 10)
    const wrong = new v2.Configuration({ accessToken: 'wrong', basePath: `${simulator.url}/api/v2` })
    await assert.rejects(new v2.PersonsApi(wrong).getPersons({}), { errorCode: 401 })
  } finally {
    await simulator.close()
  }
})

test("HubSpot's client reads the simulated account as it is", async () => {
  const simulator = await startHubspot({
    limits: false,
    nasty: false,
    counts: { contacts: 230, companies: 30, calls: 60 },
  })
  try {
    const { accessToken } = simulator.oauth.connect()
    const client = new Client({ accessToken, basePath: simulator.url, numberOfApiCallRetries: 0 })
    const properties = ['email', 'firstname', 'lastname']
    const contacts = (await client.crm.contacts.getAll(100, undefined, properties)) as unknown as Told[]
    const named = ({ id, properties: values }: Told) => {
      const { email, firstname, lastname } = values as Told
      return [id, email ?? null, firstname ?? null, lastname ?? null]
    }
    assert.deepEqual(told(contacts, named), truth(simulator, 'contacts', named))
    const calls = await client.crm.objects.basicApi.getPage('calls', 100, undefined, ['hs_call_title'])
    assert.equal(calls.results.length, simulator.count('calls'))
    const searched = await client.crm.contacts.searchApi.doSearch({
      filterGroups: [],
      properties,
      limit: 10,
      sorts: [],
      after: '0',
    })
    assert.equal(searched.total, simulator.count('contacts'))
    const described = await client.crm.properties.coreApi.getAll('contacts')
    assert.ok(described.results.some(({ name }) => name === 'email'))
    assert.ok((await client.crm.owners.ownersApi.getPage()).results.length > 0)
    const linked = await client.crm.associations.v4.batchApi.getPage('contacts', 'companies', {
      inputs: contacts.slice(0, 50).map(({ id }) => ({ id: String(id) })),
    })
    assert.ok(linked.results.length > 0)
    const wrong = new Client({ accessToken: 'wrong', basePath: simulator.url, numberOfApiCallRetries: 0 })
    await assert.rejects(wrong.crm.contacts.basicApi.getPage(1), /401/)
  } finally {
    await simulator.close()
  }
})

test("Salesforce's community client reads the simulated organization as it is", async () => {
  const simulator = await startSalesforce({ limits: false, nasty: false, counts: { Contact: 2300, Account: 40 } })
  try {
    const { accessToken } = simulator.oauth.connect()
    const connection = new Connection({ instanceUrl: simulator.url, accessToken, version: VERSION, maxRequest: 2 })
    const named = ({ Id, Name, Email, AccountId }: Told) => [Id, Name, Email ?? null, AccountId ?? null]
    const alive = [...simulator.rows('Contact')].filter((row) => row.IsDeleted !== true)
    const soql = 'SELECT Id, Name, Email, AccountId FROM Contact'
    const { records, totalSize } = await connection.query<Told>(soql, { autoFetch: true, maxFetch: 10_000 })
    assert.deepEqual(told(records, named), told(alive, named))
    assert.equal(totalSize, alive.length)
    const bulk: Told[] = []
    connection.bulk2.pollInterval = 1
    for await (const record of await connection.bulk2.query(soql)) {
      bulk.push(record as Told)
    }
    // CSV has nothing but texts: an empty one is what JSON has as null.
    const written = (row: Told) => named(row).map((value) => value ?? '')
    assert.deepEqual(told(bulk, written), told(alive, written))
    const described = await connection.describe('Contact')
    assert.ok(described.fields.some(({ name, type }) => name === 'AccountId' && type === 'reference'))
    assert.ok((await connection.describeGlobal()).sobjects.some(({ name }) => name === 'Property__c'))
    const [gone] = simulator.delete('Contact', 1)
    const { deletedRecords } = await connection.deleted(
      'Contact',
      new Date(simulator.now() - 3_600_000).toISOString(),
      new Date(simulator.now() + 3_600_000).toISOString(),
    )
    assert.ok(deletedRecords.some(({ id }) => id === gone))
    const wrong = new Connection({ instanceUrl: simulator.url, accessToken: 'wrong', version: VERSION })
    await assert.rejects(async () => wrong.query(soql), /Session expired or invalid|INVALID_SESSION_ID/)
  } finally {
    await simulator.close()
  }
})
