import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SharedStrings } from '../../../../src/adapters/files/xlsx/shared-strings.js'
import {
  CELL_BYTES_MAX,
  SHARED_STRINGS_BYTES_MAX,
  SHARED_STRINGS_MAX,
  SHARED_STRINGS_PLAIN_BYTES_MAX,
} from '../../../../src/limits.js'
import { Random } from '../../../helpers/random.js'

const text = (index: number): string => (index % 7 === 0 ? '' : `Zoë ${index} of 京 ${'x'.repeat(index % 40)}`)

function many(count: number): SharedStrings {
  const strings = new SharedStrings()
  for (let index = 0; index < count; index += 1) {
    strings.add(text(index))
  }
  strings.finish()
  return strings
}

const COUNT = 300_000

test('finds each text again, in order and in any other, also those that are packed', () => {
  const strings = many(COUNT)
  assert.ok(COUNT * 20 > SHARED_STRINGS_PLAIN_BYTES_MAX)
  for (let index = 0; index < COUNT; index += 1) {
    assert.equal(strings.get(index), text(index))
  }
  const random = new Random(5)
  for (let turn = 0; turn < 50_000; turn += 1) {
    const index = random.below(COUNT)
    assert.equal(strings.get(index), text(index))
  }
})

test('knows no text behind the last, and none before the first', () => {
  const strings = many(513)
  assert.equal(strings.get(512), text(512))
  assert.equal(strings.get(513), undefined)
  assert.equal(strings.get(-1), undefined)
  assert.equal(new SharedStrings().get(0), undefined)
})

test('keeps no text that is longer than a cell may be, nor loses its neighbours', () => {
  for (const before of [0, 200_000]) {
    const strings = new SharedStrings()
    for (let index = 0; index < before; index += 1) {
      strings.add(`before it stands ${index}`)
    }
    for (const each of ['', 'ä'.repeat(CELL_BYTES_MAX / 2), 'ä'.repeat(CELL_BYTES_MAX / 2 + 1), 'b', '']) {
      strings.add(each)
    }
    strings.finish()
    assert.equal(strings.get(before), '')
    assert.equal(strings.get(before + 1)?.length, CELL_BYTES_MAX / 2)
    assert.equal(strings.get(before + 2), null)
    assert.equal(strings.get(before + 3), 'b')
    assert.equal(strings.get(before + 4), '')
  }
})

test('takes as many bytes as the limit says and no more', { timeout: 30_000 }, () => {
  const strings = new SharedStrings()
  const large = 'a'.repeat(CELL_BYTES_MAX)
  for (let bytes = 0; bytes < SHARED_STRINGS_BYTES_MAX; bytes += CELL_BYTES_MAX) {
    strings.add(large)
  }
  strings.add('')
  assert.throws(() => strings.add('a'), { code: 'LIMIT_EXCEEDED' })
})

test('takes as many texts as the limit says and no more', { timeout: 30_000 }, () => {
  const strings = new SharedStrings()
  for (let count = 0; count < SHARED_STRINGS_MAX; count += 1) {
    strings.add('')
  }
  assert.throws(() => strings.add(''), { code: 'LIMIT_EXCEEDED' })
})
