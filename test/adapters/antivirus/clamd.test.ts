import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { clamdScanner, type Scanner } from '../../../src/adapters/antivirus/clamd.js'
import { RetryableError } from '../../../src/errors.js'
import { EICAR, type FakeClamd, startFakeClamd } from './fake-clamd.js'

let clamd: FakeClamd
let scanner: Scanner

before(async () => {
  clamd = await startFakeClamd({ streamMaxLength: 5_000_000 })
  scanner = clamdScanner(clamd, { pauses: [1, 1], silenceMs: 200 })
})
after(() => clamd.close())

const bytes = (...blocks: readonly (string | Uint8Array)[]) =>
  async function* () {
    for (const block of blocks) {
      yield typeof block === 'string' ? Buffer.from(block) : block
    }
  }

async function as<T>(behaviour: FakeClamd['behaviour'], work: () => Promise<T>): Promise<T> {
  clamd.behaviour = behaviour
  try {
    return await work()
  } finally {
    clamd.behaviour = 'scan'
  }
}

test('a clean file is clean, and every byte of it was looked at', async () => {
  assert.deepEqual(await scanner.scan(bytes('a,b\n', Buffer.alloc(300_000, 'x'), '')), { kind: 'clean' })
  assert.equal(clamd.scanned.at(-1), 300_004)
  assert.deepEqual(await scanner.scan(bytes()), { kind: 'clean' })
  assert.equal(clamd.scanned.at(-1), 0)
})

test('an infected file is named, also where the signature is cut by two pieces', async () => {
  const expected = { kind: 'infected', signature: 'Eicar-Signature' }
  assert.deepEqual(await scanner.scan(bytes(EICAR)), expected)
  assert.deepEqual(await scanner.scan(bytes(EICAR.slice(0, 20), EICAR.slice(20), 'x')), expected)
  const late = Buffer.concat([Buffer.alloc(64 * 1024 - 10, 'x'), Buffer.from(EICAR), Buffer.alloc(100_000)])
  assert.deepEqual(await scanner.scan(bytes(late)), expected)
})

test('a file that is longer than the daemon takes is neither clean nor infected', async () => {
  assert.deepEqual(await scanner.scan(bytes(Buffer.alloc(5_000_000))), { kind: 'clean' })
  const blocks = Array.from({ length: 200 }, () => Buffer.alloc(64 * 1024))
  assert.deepEqual(await scanner.scan(bytes(...blocks)), { kind: 'tooLarge' })
})

test('a daemon that hangs up, is silent, or talks nonsense is tried again and then given up [UP-13]', async () => {
  for (const behaviour of [
    'hang up',
    'silent',
    { say: 'stream: Access denied. ERROR' },
    { say: 'stream: OK maybe' },
    { say: '' },
  ] as const) {
    const before = clamd.connections
    await as(behaviour, () =>
      assert.rejects(
        scanner.scan(bytes('a,b\n')),
        (error) => error instanceof RetryableError && error.code === 'SCANNER_AWAY',
      ),
    )
    assert.equal(clamd.connections - before, 3, JSON.stringify(behaviour))
  }
  await assert.rejects(clamdScanner({ path: '/nowhere/clamd.sock' }, { pauses: [] }).scan(bytes('a')), {
    code: 'SCANNER_AWAY',
  })
})

test('a daemon that comes back in time is asked from the beginning of the file', async () => {
  clamd.behaviour = 'hang up'
  let opened = 0
  const open = () => {
    opened += 1
    if (opened === 2) {
      clamd.behaviour = 'scan'
    }
    return bytes(EICAR)()
  }
  assert.equal((await scanner.scan(open)).kind, 'infected')
  assert.equal(opened, 2)
})

test('speaks over a Unix socket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portage-clamd-'))
  const local = await startFakeClamd({ path: join(folder, 'clamd.sock') })
  try {
    const one = clamdScanner({ path: local.address }, { pauses: [] })
    assert.equal((await one.scan(bytes(EICAR))).kind, 'infected')
    const blocks = Array.from({ length: 500 }, () => Buffer.alloc(64 * 1024))
    assert.equal((await one.scan(bytes(...blocks))).kind, 'tooLarge')
  } finally {
    await local.close()
    await rm(folder, { recursive: true })
  }
})

test('what reading the file throws is thrown, and not tried again', async () => {
  let opened = 0
  const fault = new Error('the disk is gone')
  const open = async function* () {
    opened += 1
    yield Buffer.from('a')
    throw fault
  }
  await assert.rejects(scanner.scan(open), fault)
  assert.equal(opened, 1)
})

test('a scan that nobody waits for ends', async () => {
  const stop = new AbortController()
  const scan = as('silent', () => scanner.scan(bytes('a,b\n'), stop.signal))
  stop.abort(new Error('the client has gone'))
  await assert.rejects(scan, /the client has gone/)
})
