import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  FORMULA_PATTERN,
  isFormulaLike,
  isProtected,
  protect,
  SPARED_PATTERN,
  unprotect,
} from '../../src/pipeline/formula.js'
import { random } from '../adapters/files/random.js'

const corpus = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures', 'formulas', 'corpus.json'), 'utf8'),
) as { readonly formulas: readonly string[]; readonly spared: readonly string[]; readonly harmless: readonly string[] }

const PIECES =
  "' ' ' = + - @ \t \r \n \0 ＝ ＋ － ＠ 1 2 30 . , _ \u00a0 ’ ( ) / e5 E-3 % ;ext= a SUM(A1) | \" 😀 \ud800"
    .split(' ')
    .map((piece) => (piece === '_' ? ' ' : piece))

function generated(seed: number): string {
  const from = random(seed)
  return Array.from({ length: from.below(9) }, () => from.pick(PIECES)).join('')
}

describe('spreadsheet-safe text', () => {
  for (const text of corpus.formulas) {
    it(`protects ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.equal(isFormulaLike(text), true)
      assert.equal(protect(text), `'${text}`)
      assert.equal(unprotect(protect(text)), text)
    })
  }

  for (const text of corpus.spared) {
    it(`leaves the number ${JSON.stringify(text)} alone`, () => {
      assert.equal(isFormulaLike(text), false)
      assert.equal(protect(text), text)
      assert.equal(unprotect(text), text)
      assert.equal(unprotect(protect(`'${text}`)), `'${text}`)
    })
  }

  for (const text of corpus.harmless) {
    it(`has no part in ${JSON.stringify(text)}`, () => {
      assert.equal(protect(text), text)
      assert.equal(unprotect(text), text)
    })
  }

  it('gives every text back, and lets none begin with a sign but numbers [UP-10]', () => {
    const plain = new RegExp(SPARED_PATTERN)
    for (let seed = 1; seed <= 50_000; seed += 1) {
      const text = generated(seed)
      const safe = protect(text)
      assert.equal(unprotect(safe), text, `seed ${seed}`)
      assert.ok(!/^[=+\-@\t\r\n\0＝＋－＠]/.test(safe) || plain.test(text), `seed ${seed}: ${JSON.stringify(safe)}`)
      assert.ok(safe === text || isProtected(safe), `seed ${seed}`)
    }
  })

  it('gives different texts back as different ones', () => {
    const texts = new Set(Array.from({ length: 20_000 }, (_, seed) => generated(seed)))
    assert.equal(new Set([...texts].map(protect)).size, texts.size)
  })

  it('says the same as its patterns, which the database uses', () => {
    const formula = new RegExp(FORMULA_PATTERN)
    const plain = new RegExp(SPARED_PATTERN)
    for (let seed = 1; seed <= 50_000; seed += 1) {
      // No text of the database holds a NUL.
      const text = generated(seed).replaceAll('\0', '')
      assert.equal(
        formula.test(text) && !plain.test(text),
        isFormulaLike(text),
        `seed ${seed}: ${JSON.stringify(text)}`,
      )
    }
  })

  it('tells protected text from bare formulas', () => {
    assert.deepEqual(
      ["'=1", "''=1", '=1', "'a", '-5', "'-5", ''].map((text) => [isProtected(text), isFormulaLike(text)]),
      [
        [true, true],
        [true, true],
        [false, true],
        [false, false],
        [false, false],
        [true, true],
        [false, false],
      ],
    )
  })

  it('takes a time in proportion to the length', () => {
    const started = process.cpuUsage()
    for (const text of [
      `${"'".repeat(1_000_000)}a`,
      `+${'1 '.repeat(500_000)}x`,
      `-${'1'.repeat(1_000_000)}x`,
      `+${'1('.repeat(500_000)};ext`,
    ]) {
      assert.equal(unprotect(protect(text)), text)
    }
    const { user } = process.cpuUsage(started)
    assert.ok(user < 2_000_000, `${user} microseconds`)
  })
})
