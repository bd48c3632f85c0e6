import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fold, jaroWinkler, oneSlip, sound, textKey } from '../../../src/pipeline/similarity/text.js'

test('texts are folded to what is compared', () => {
  assert.equal(fold('  Müller-Lüdenscheidt '), 'muller ludenscheidt')
  assert.equal(fold("O'Connor"), 'oconnor')
  assert.equal(fold('Łukasz STRAẞE'.replace('ẞ', 'ß')), 'lukasz strasse')
  assert.equal(fold(null), '')
  assert.equal(fold('x'.repeat(1_000_000)).length, 60)
})

test('Jaro-Winkler gives the values of its authors', () => {
  for (const [a, b, expected] of [
    ['martha', 'marhta', 0.9611],
    ['dwayne', 'duane', 0.84],
    ['dixon', 'dicksonx', 0.8133],
    ['same', 'same', 1],
    ['abc', 'xyz', 0],
    ['', 'x', 0],
  ] as const) {
    assert.ok(Math.abs(jaroWinkler(a, b) - expected) < 0.0001, `${a} ${b} ${jaroWinkler(a, b)}`)
    assert.equal(jaroWinkler(a, b), jaroWinkler(b, a))
  }
})

test('one slip is a character changed, missing, added or moved by one, and no more', () => {
  for (const [a, b] of [
    ['smith', 'smyth'],
    ['smith', 'smih'],
    ['smith', 'smiith'],
    ['smith', 'simth'],
    ['a', ''],
    ['ab', 'ba'],
  ] as const) {
    assert.ok(oneSlip(a, b) && oneSlip(b, a), `${a} ${b}`)
  }
  for (const [a, b] of [
    ['smith', 'smythe'],
    ['abcd', 'badc'],
    ['abc', 'cba'],
    ['', 'ab'],
  ] as const) {
    assert.ok(!oneSlip(a, b) && !oneSlip(b, a), `${a} ${b}`)
  }
})

test('words that sound alike have one code', () => {
  assert.equal(sound('robert'), sound('rupert'))
  assert.equal(sound('meyer'), sound('maier'))
  assert.equal(sound('philips'), sound('filips'))
  assert.equal(sound('smith'), sound('smyth'))
  assert.notEqual(sound('smith'), sound('jones'))
  assert.equal(sound('иванов'), 'иван')
})

test('keys are safe integers, and different texts have different ones', () => {
  const keys = new Set(Array.from({ length: 100_000 }, (_, i) => textKey(`contact pn|${i}`)))
  assert.equal(keys.size, 100_000)
  assert.ok([...keys].every((key) => Number.isSafeInteger(key) && key >= 0))
})
