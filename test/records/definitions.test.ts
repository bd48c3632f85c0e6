/** The definitions of the record types hold together, and no mapping reaches what is not for mappings. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainWord } from '../../src/pipeline/text.js'
import { builtFrom } from '../../src/pipeline/validate.js'
import { valueParser } from '../../src/pipeline/values.js'
import { tableDdl } from '../../src/records/ddl.js'
import {
  checkOfConstraint,
  checksOf,
  fieldOf,
  keyField,
  mappableNames,
  protectedColumns,
  recordTypes,
  referencePath,
} from '../../src/records/index.js'

const types = Object.values(recordTypes)
const reading = { format: null, timeZone: 'UTC', defaultCountry: null }

for (const type of types) {
  test(`${type.name}: names and columns are unique, and columns are the names in snake case`, () => {
    const names = type.fields.map((field) => field.name)
    const columns = type.fields.map((field) => field.column)
    assert.equal(new Set(names).size, names.length)
    assert.equal(new Set(columns).size, columns.length)
    for (const field of type.fields) {
      if (field.reference === null) {
        assert.equal(
          field.column,
          field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        )
      } else {
        assert.match(field.column, /_id$/)
        assert.equal(field.sqlType, 'uuid')
      }
    }
    assert.deepEqual(names.slice(0, 2), ['sourceSystem', 'externalId'])
  })

  test(`${type.name}: every column of the table is either of one field or protected [AR-5]`, () => {
    const ddl = tableDdl(type)[0] ?? ''
    const columns = [
      ...ddl.matchAll(/^ {2}(\w+) (?:uuid|text|integer|int|bigint|numeric|boolean|date|timestamptz|jsonb)/gm),
    ].map((match) => match[1])
    const mappable = new Set(type.fields.map((field) => field.column))
    const kept: ReadonlySet<string> = new Set(protectedColumns)
    assert.ok(columns.length > protectedColumns.length)
    for (const column of columns) {
      assert.ok(mappable.has(column ?? '') !== kept.has(column ?? ''), `${column} is neither or both`)
    }
  })

  test(`${type.name}: no mappable name leads to a protected column [AR-5]`, () => {
    const kept: ReadonlySet<string> = new Set(protectedColumns)
    for (const name of mappableNames(type)) {
      const field = referencePath(type, name)?.field ?? fieldOf(type, name)
      assert.ok(field !== null, name)
      assert.ok(!kept.has(field.column), name)
    }
    for (const column of protectedColumns) {
      const name = column.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
      assert.equal(fieldOf(type, name), null)
      assert.equal(fieldOf(type, column), null)
      assert.equal(referencePath(type, name), null)
    }
  })

  test(`${type.name}: defaults are values of their fields, required ones included`, () => {
    for (const field of type.fields) {
      if (field.defaultValue !== null && field.sqlType !== 'text[]') {
        assert.equal(valueParser(field, reading).parse(field.defaultValue), field.defaultValue, field.name)
      }
    }
  })

  test(`${type.name}: a synonym stands for one option and never hides another option`, () => {
    for (const field of type.fields.filter((candidate) => candidate.synonyms !== undefined)) {
      const meanings = new Map<string, string>()
      const options = field.kind === 'BOOLEAN' ? ['t', 'f'] : (field.options ?? [])
      for (const option of options) {
        meanings.set(plainWord(option), option)
      }
      for (const [option, words] of Object.entries(field.synonyms ?? {})) {
        assert.ok(option === '' || options.includes(option), `${field.name}: ${option}`)
        for (const word of words) {
          const before = meanings.get(plainWord(word))
          assert.ok(before === undefined || before === option, `${field.name}: "${word}" is ${before} and ${option}`)
          meanings.set(plainWord(word), option)
        }
      }
    }
  })

  test(`${type.name}: match fields, natural keys, alternatives and checks name fields that exist`, () => {
    const named = [
      ...type.matchable,
      ...type.naturalKeys.flat(),
      ...type.oneOf,
      ...type.checks.flatMap((check) => check.fields),
    ]
    for (const name of named) {
      assert.ok(fieldOf(type, name) !== null, name)
    }
    for (const key of type.naturalKeys) {
      assert.ok(key.some((name) => type.matchable.includes(name)))
    }
    for (const sources of Object.values(builtFrom[type.name])) {
      for (const name of sources) {
        assert.ok(mappableNames(type).includes(name), name)
      }
    }
  })

  test(`${type.name}: a reference is named by fields that the referred type can be searched by`, () => {
    for (const name of mappableNames(type)) {
      const path = referencePath(type, name)
      if (path !== null) {
        const key = keyField(path)
        assert.equal(key.name, path.key)
        assert.ok(path.reference.to === 'member' || recordTypes[path.reference.to].matchable.includes(path.key), name)
      }
    }
  })

  test(`${type.name}: a violated constraint is found by its name and has a message`, () => {
    const names = checksOf(type).map((check) => check.name)
    assert.equal(new Set(names).size, names.length)
    for (const check of checksOf(type)) {
      assert.equal(checkOfConstraint(type, `${type.table}_${check.name}`)?.message, check.message)
    }
    assert.equal(checkOfConstraint(type, `${type.table}_pkey`), null)
  })
}

test('references are mapped by key and owners by their e-mail alone', () => {
  const names = mappableNames(recordTypes.activity)
  assert.ok(names.includes('contact.email'))
  assert.ok(names.includes('property.listingId'))
  assert.ok(names.includes('ownerEmail'))
  assert.ok(!names.includes('contact'))
  assert.equal(referencePath(recordTypes.property, 'ownerEmail')?.reference.to, 'member')
  assert.equal(referencePath(recordTypes.property, 'ownerContact.email')?.reference.to, 'contact')
  assert.equal(referencePath(recordTypes.property, 'ownerName'), null)
})
