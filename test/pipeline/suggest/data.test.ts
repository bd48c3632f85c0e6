/** The data of the suggestion: adding a word is editing it, and these tests say when a word is out of place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CALIBRATION } from '../../../src/pipeline/data/calibration.js'
import { CHOICES } from '../../../src/pipeline/data/choices.js'
import { CONCEPTS, IMPLIED_CONCEPTS, MODIFIER_CONCEPTS } from '../../../src/pipeline/data/concepts.js'
import { CONTEXT_RULES } from '../../../src/pipeline/data/contexts.js'
import { PLACELESS } from '../../../src/pipeline/data/placeless.js'
import { SOURCE_PACKS } from '../../../src/pipeline/data/sources.js'
import { choiceReader } from '../../../src/pipeline/suggest/choices.js'
import { fold, keyOf, wordsOf } from '../../../src/pipeline/suggest/header.js'
import { CLEAR, lexiconOf } from '../../../src/pipeline/suggest/lexicon.js'
import { fieldOf, mappableNames, recordTypes } from '../../../src/records/index.js'
import type { RecordTypeName } from '../../../src/records/types.js'

const types = Object.keys(recordTypes) as RecordTypeName[]

test('a word says one thing only', () => {
  const known = new Map<string, string>()
  for (const [concept, words] of Object.entries(CONCEPTS)) {
    for (const word of words.split(' ')) {
      assert.equal(known.get(word), undefined, `${word} is ${known.get(word)} and ${concept}`)
      assert.match(word, /^[\p{L}\p{N}]+$/u)
      assert.equal(fold(word), word, 'words stand in folded form')
      known.set(word, concept)
    }
  }
  for (const concept of [...MODIFIER_CONCEPTS.split(' '), ...IMPLIED_CONCEPTS.flat()]) {
    assert.ok(concept in CONCEPTS || concept === 'fax', concept)
  }
})

test('choices are those of fields that exist, and each word means one of them', () => {
  for (const type of types) {
    for (const [name, options] of Object.entries(CHOICES[type] ?? {})) {
      const field = fieldOf(recordTypes[type], name)
      assert.ok(field?.options, `${type}.${name} has choices`)
      for (const [option, list] of Object.entries(options)) {
        assert.ok(field.options.includes(option), `${type}.${name} can be ${option}`)
        for (const word of list.split(',').map((text) => text.trim())) {
          assert.equal(choiceReader(field, type).meant(word), option, `${type}.${name}: ${word}`)
        }
      }
    }
  }
})

test('what a record type has no field for is no word for one of its fields', () => {
  for (const type of types) {
    const { exact } = lexiconOf(recordTypes[type])
    const both = PLACELESS[type]
      .split(',')
      .map((text) => text.trim())
      .filter((text) => exact.get(keyOf(wordsOf(text)))?.some(({ alone }) => alone >= CLEAR))
    assert.deepEqual(both, [], type)
  }
})

test('rules of context and packs of systems name fields that exist', () => {
  for (const { types: of, field, has, lacks, headers } of CONTEXT_RULES) {
    for (const type of of) {
      for (const name of [field, ...has, ...lacks]) {
        assert.ok(
          mappableNames(recordTypes[type]).includes(name) || name === 'companyName' || name === 'stateOrProvince',
          `${type}.${name} of “${headers}”`,
        )
      }
    }
  }
  for (const { source, recordType, fields, none } of SOURCE_PACKS) {
    for (const name of Object.keys(fields)) {
      assert.ok(mappableNames(recordTypes[recordType]).includes(name), `${source}: ${recordType}.${name}`)
    }
    const placed = new Set(Object.values(fields).flatMap((list) => list.split(',').map((text) => keyOf(wordsOf(text)))))
    const lost = none.split(',').filter((text) => placed.has(keyOf(wordsOf(text))))
    assert.deepEqual(lost, [], `${source} ${recordType}: both a field and none`)
  }
})

test('a higher score is never worth less, and 0.9 is worth 0.9', () => {
  for (const [at, [score, share]] of CALIBRATION.entries()) {
    const [before, less] = CALIBRATION[at - 1] ?? [-1, -1]
    assert.ok(score > before && share > less, `${score}`)
  }
  assert.deepEqual(
    [CALIBRATION[0], CALIBRATION.at(-1)],
    [
      [0, 0],
      [1, 1],
    ],
  )
  assert.ok(CALIBRATION.some(([score, share]) => score === 0.9 && share === 0.9))
})
