/** Files whose texts were kept from being formulas: detection, preview, import, failed rows and retry read them alike. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Actor, dataOf, type Json, World } from '../server/world.js'

let world: World
let ada: Actor

before(async () => {
  world = await World.start()
  ada = await world.actor(await world.tenant())
})
after(() => world.close())

const mapping = ['email', 'displayName', 'jobTitle'].map((column) => ({ column, field: column }))
const protectedFile = `email,displayName,jobTitle
ann@example.com,Ann,'=1+1
bob@example.com,Bob,''@x
not an address,Cat,'-boss
`

const people = async (): Promise<Json[]> =>
  (
    await world.ask(
      ada,
      'query { contacts(first: 9, orderBy: [{ field: "email", direction: ASC }]) { nodes { email jobTitle } } }',
    )
  ).contacts.nodes

test('protected texts lose one apostrophe in previews, imports and retries, and stand as they stood in files of failed rows [UP-10]', async () => {
  const { fileUpload } = dataOf(
    await world.upload(
      ada,
      'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code message } } }',
      {},
      protectedFile,
    ),
  )
  const { file } = await world.ask(
    ada,
    `query ($id: ID!, $mapping: [ColumnMappingInput!], $source: SourceOptionsInput) { file(id: $id) { detection { formulasEscaped }
       preview(recordType: CONTACT, mapping: $mapping, first: 2) { rows { values { key value } } }
       exact: preview(recordType: CONTACT, mapping: $mapping, first: 2, source: $source) { rows { values { key value } } } } }`,
    { id: fileUpload.file.id, mapping, source: { formulasEscaped: false } },
  )
  const jobs = (rows: Json) =>
    rows.map(({ values }: Json) => values.find(({ key }: Json) => key === 'jobTitle').value as string)
  assert.equal(file.detection.formulasEscaped, true)
  assert.deepEqual(jobs(file.preview.rows), ['=1+1', "'@x"])
  assert.deepEqual(jobs(file.exact.rows), ["'=1+1", "''@x"])

  const id = await world.import(ada, 'CONTACT', protectedFile, {}, { mapping })
  assert.deepEqual(await people(), [
    { email: 'ann@example.com', jobTitle: '=1+1' },
    { email: 'bob@example.com', jobTitle: "'@x" },
  ])
  const { importRun } = await world.ask(
    ada,
    'query ($id: ID!) { importRun(id: $id) { rows(first: 9) { nodes { rowNumber cells { column value } } } } }',
    { id },
  )
  const cat = importRun.rows.nodes.find(({ rowNumber }: Json) => rowNumber === 4)
  assert.equal(cat.cells.find(({ column }: Json) => column === 'jobTitle').value, "'-boss")

  // The rows that are tried again hold no proof of their own: they are read as the first import read its file.
  const { importRetryFailed } = dataOf(
    await world.upload(
      ada,
      'mutation ($input: ImportRetryFailedInput!) { importRetryFailed(input: $input) { importRun { id } userErrors { code message } } }',
      { runId: id, idempotencyKey: randomBytes(8).toString('hex') },
      "email,displayName,jobTitle,_portage_row\ncat@example.com,Cat,'-boss,4\n",
    ),
  )
  assert.deepEqual(importRetryFailed.userErrors, [])
  await world.rested(ada, importRetryFailed.importRun.id)
  assert.equal((await people()).at(-1)?.jobTitle, '-boss')
})

test('one bare formula in a file says that its apostrophes are its own', async () => {
  const actor = await world.actor(await world.tenant())
  await world.import(
    actor,
    'CONTACT',
    "email,displayName,jobTitle\nann@example.com,Ann,'=1+1\nbob@example.com,Bob,=2\n",
    {},
    { mapping },
  )
  const { contacts } = await world.ask(
    actor,
    'query { contacts(first: 9, orderBy: [{ field: "email", direction: ASC }]) { nodes { jobTitle } } }',
  )
  assert.deepEqual(
    contacts.nodes.map(({ jobTitle }: Json) => jobTitle),
    ["'=1+1", '=2'],
  )
})
