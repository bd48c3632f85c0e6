import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { decodeId, decodeUuid, encodeId, encodeUuid, NO_ID, parseId } from '../src/ids.js'

test('every UUID has one public id, and it leads back', () => {
  const uuids = [NO_ID, 'ffffffff-ffff-ffff-ffff-ffffffffffff', ...Array.from({ length: 500 }, () => randomUUID())]
  for (const uuid of uuids) {
    const id = encodeId('contact', uuid)
    assert.match(id, /^con_[0-7][0-9a-hjkmnp-tv-z]{25}$/)
    assert.equal(decodeId('contact', id), uuid)
    assert.equal(decodeUuid(encodeUuid(uuid)), uuid)
  }
  assert.equal(new Set(uuids.map((uuid) => encodeId('run', uuid))).size, uuids.length)
})

test('the order of public ids is that of the UUIDs', () => {
  const uuids = Array.from({ length: 200 }, () => randomUUID()).toSorted()
  assert.deepEqual(uuids.map(encodeUuid).toSorted(), uuids.map(encodeUuid))
})

test('everything else stands for nothing', () => {
  const uuid = randomUUID()
  const good = encodeId('contact', uuid)
  const bad = [
    '',
    'con_',
    uuid,
    good.toUpperCase(),
    `${good} `,
    ` ${good}`,
    `${good}0`,
    good.slice(0, -1),
    good.replace('con_', 'led_'),
    good.replace('con_', 'con-'),
    `con_${'z'.repeat(26)}`,
    `con_${'u'.repeat(26)}`,
    "con_' or true --",
    `con_${'0'.repeat(26)}\0`,
  ]
  for (const id of bad) {
    assert.equal(decodeId('contact', id), NO_ID, id)
  }
  assert.deepEqual(parseId(good), { kind: 'contact', uuid })
  assert.deepEqual(parseId(good.replace('con_', 'led_')), { kind: 'lead', uuid })
  for (const id of ['', 'con_', 'xyz_01', `con_${'z'.repeat(26)}`, encodeId('contact', NO_ID)]) {
    assert.equal(parseId(id), null)
  }
})
