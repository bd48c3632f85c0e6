import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FatalError } from '../src/errors.js'
import { createLog, type LogFields } from '../src/log.js'

function record(level: 'debug' | 'info' = 'info') {
  const lines: string[] = []
  const log = createLog({ level, process: 'test' }, { write: (line) => void lines.push(line) })
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown> }
}

test('writes one JSON line per event, with time, level, process and the fields given', () => {
  const { log, lines, last } = record()
  log.child({ tenantId: 't' }).info({ runId: 'r', rows: 7 }, 'chunk committed')
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /\n$/)
  const { time, ...rest } = last()
  assert.match(String(time), /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/)
  assert.deepEqual(rest, {
    level: 'info',
    process: 'test',
    pid: process.pid,
    tenantId: 't',
    runId: 'r',
    rows: 7,
    msg: 'chunk committed',
  })
})

test('drops whatever has no place in a log line, also from a child logger', () => {
  const { log, lines } = record()
  const careless = {
    runId: 'r',
    token: 'canary',
    row: { email: 'canary' },
    headers: { authorization: 'canary' },
  } as LogFields
  log.child(careless).warn(careless, 'careless')
  assert.doesNotMatch(lines.join(), /canary|token|email|authorization/)
  assert.match(lines.join(), /"runId":"r"/)
})

test('data cannot forge a line or steer a terminal', () => {
  const { log, lines, last } = record()
  const nasty = 'a\r\n{"level":"error","msg":"forged"}\u001b[2J\u009b2J\u2028b'
  log.info({ operation: nasty, err: new Error(nasty) }, 'nasty')
  assert.equal(
    lines
      .join('')
      .trimEnd()
      .split(/[\r\n\u2028\u0085]/).length,
    1,
  )
  assert.ok(!['\u001b', '\u009b'].some((control) => lines.join('').includes(control)))
  assert.equal(last().msg, 'nasty')
})

test('cuts long fields', () => {
  const { log, last } = record()
  log.info({ operation: 'x'.repeat(10_000) }, 'long')
  assert.equal(String(last().operation).length, 500)
})

test('tells an error by name, code, message, places and causes', () => {
  const { log, last } = record()
  log.error({ err: new FatalError('FILE_GONE', 'the file is gone', { cause: new TypeError('inner') }) }, 'failed')
  const err = last().err as Record<string, unknown>
  assert.equal(err.name, 'FatalError')
  assert.equal(err.code, 'FILE_GONE')
  assert.equal(err.message, 'the file is gone')
  assert.ok(Array.isArray(err.stack) && err.stack.length > 0)
  assert.equal((err.cause as Record<string, unknown>).message, 'inner')
})

test('withholds messages of the database that quote a value', () => {
  const { log, lines } = record()
  const error = Object.assign(new Error('invalid input syntax for type integer: "canary"'), { code: '22P02' })
  log.error({ err: error }, 'failed')
  log.error({ err: new Error('outer', { cause: error }) }, 'failed')
  assert.doesNotMatch(lines.join(), /canary/)
  assert.match(lines.join(), /22P02/)
})

test('is silent below its level', () => {
  const { log, lines } = record()
  log.debug({ runId: 'r' }, 'detail')
  assert.equal(lines.length, 0)
})
