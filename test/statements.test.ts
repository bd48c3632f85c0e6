import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { met, operations, provenBy, security, withTable } from './statements.js'

const docs = join(import.meta.dirname, '..', '..', 'docs')

test('the tables of statements in the documents are those of the tests', (t) => {
  for (const [name, statements] of [
    ['OPERATIONS.md', operations],
    ['SECURITY.md', security],
  ] as const) {
    const document = readFileSync(join(docs, name), 'utf8')
    assert.equal(document, withTable(document, statements), `node dist/test/emit-schema.js writes docs/${name} anew`)
  }
  const all = [...operations, ...security]
  t.diagnostic(`${met(all).length} of ${all.length} statements are met`)
})

test('every id in a title is that of a statement', () => {
  const known = new Set([...operations, ...security].map(({ id }) => id))
  assert.equal(known.size, operations.length + security.length)
  assert.deepEqual(
    [...provenBy().keys()].filter((id) => !known.has(id)),
    [],
  )
})
