import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { validateSchema } from 'graphql'
import { apiSchema } from '../src/resolvers/schema.js'
import { breakingChanges, changedDefaults, emittedSdl, projectFile } from './helpers/contract.js'

test('the committed schema is the one that the code has', () => {
  assert.equal(readFileSync(projectFile('schema.graphql'), 'utf8'), emittedSdl(), 'run `node dist/test/emit-schema.js`')
  assert.deepEqual(validateSchema(apiSchema), [])
})

test('the schema keeps the contract but for what later work delivers', () => {
  const pending = readFileSync(projectFile('test/contract-pending.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
  assert.deepEqual(breakingChanges(), pending)
})

test('what is pending is only missing, never changed', () => {
  const changed = breakingChanges().filter(
    (change) => !/^(FIELD_REMOVED|TYPE_REMOVED|VALUE_REMOVED_FROM_ENUM) /.test(change),
  )
  assert.deepEqual(changed, [])
})

test('no argument has another default than in the contract', () => {
  assert.deepEqual(changedDefaults(), [])
})
