/** Full names of people and how they fall into parts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstLine, fullName, joined, splitName } from '../../src/pipeline/names.js'

test('full names fall into prefix, given names, family name and suffix', () => {
  for (const [name, expected] of [
    ['Anna Berg', [null, 'Anna', 'Berg', null]],
    ['Mary Jane Watson', [null, 'Mary Jane', 'Watson', null]],
    ['Dr. Anna Berg', ['Dr.', 'Anna', 'Berg', null]],
    ['Herr Prof. Dr. Hans Meier', ['Herr Prof. Dr.', 'Hans', 'Meier', null]],
    ['John Smith Jr.', [null, 'John', 'Smith', 'Jr.']],
    ['John Smith, Jr.', [null, 'John', 'Smith', 'Jr.']],
    ['John Smith III', [null, 'John', 'Smith', 'III']],
    ['Smith, John', [null, 'John', 'Smith', null]],
    ['van der Berg, Anna Maria', [null, 'Anna Maria', 'van der Berg', null]],
    ['Smith, Dr. John', ['Dr.', 'John', 'Smith', null]],
    ['Ludwig van Beethoven', [null, 'Ludwig', 'van Beethoven', null]],
    ['Anna Maria van der Berg', [null, 'Anna Maria', 'van der Berg', null]],
    ['van der Berg', [null, null, 'van der Berg', null]],
    ['José da Silva', [null, 'José', 'da Silva', null]],
    ['Mme Claire Dubois', ['Mme', 'Claire', 'Dubois', null]],
    ['M. Jean Dupont', ['M.', 'Jean', 'Dupont', null]],
    ['D Smith', [null, 'D', 'Smith', null]],
    ['Cher', [null, null, 'Cher', null]],
    ['Dr. Berg', ['Dr.', null, 'Berg', null]],
    ['  Anna   Berg ', [null, 'Anna', 'Berg', null]],
  ] as const) {
    const parts = splitName(name)
    assert.deepEqual(parts === null ? null : [parts.prefix, parts.first, parts.last, parts.suffix], expected, name)
  }
})

test('what is no name of a person is not split', () => {
  for (const name of ['Acme GmbH', 'Smith & Sons', 'Berg Immobilien AG', 'Area 51', 'anna@example.com', ',']) {
    assert.equal(splitName(name), null, name)
  }
})

test('full names are put together from what there is', () => {
  assert.equal(fullName('Anna', 'Maria', 'Berg', 'PhD'), 'Anna Maria Berg PhD')
  assert.equal(fullName(null, null, 'Berg', null), 'Berg')
  assert.equal(fullName('Anna', null, null, null), 'Anna')
  assert.equal(fullName(null, null, null, 'Jr.'), null)
  assert.equal(fullName('x'.repeat(200), null, 'y'.repeat(200), null)?.length, 255)
})

test('a first line is the first with letters, without tags', () => {
  assert.equal(firstLine('\r\n  Hello \nWorld'), 'Hello')
  assert.equal(firstLine('<div><b>Hello</b></div><div>World</div>'), 'Hello')
  assert.equal(firstLine('Hello<br>World'), 'Hello')
  assert.equal(firstLine(' \n '), null)
  assert.equal(firstLine('x'.repeat(3_000))?.length, 255)
})

test('things are joined with commas as far as there are any', () => {
  assert.equal(joined('a', null, 'b'), 'a, b')
  assert.equal(joined(null, null), null)
})
