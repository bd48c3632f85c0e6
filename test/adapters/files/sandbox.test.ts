import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ByteReader } from '../../../src/adapters/files/bytes.js'
import { networkIsCut, type SandboxOptions, sandboxCommand, sandboxed } from '../../../src/adapters/files/sandbox.js'
import type { SandboxJob } from '../../../src/adapters/files/sandbox-messages.js'
import { noSourceOptions } from '../../../src/adapters/files/sniff.js'
import { FatalError, Refusal, RetryableError } from '../../../src/errors.js'

const entry = join(import.meta.dirname, 'sandbox-probe.js')

function bytesOf(text: string): ByteReader & { closed: boolean } {
  const bytes = Buffer.from(text)
  return {
    byteSize: bytes.length,
    closed: false,
    read: (target, at, length, position) => {
      // The file never ends for one who asks for more than there is.
      return Promise.resolve(bytes.copy(target, at, position, position + length))
    },
    async [Symbol.asyncDispose]() {
      this.closed = true
    },
  }
}

function jobOf(name: string): SandboxJob {
  return { op: 'inspect', name, byteSize: 10, overrides: noSourceOptions, detection: null }
}

async function run(name: string, options: SandboxOptions = {}, bytes = bytesOf('0123456789')): Promise<unknown> {
  const work = sandboxed(() => Promise.resolve(bytes), jobOf(name), { entry, ...options })
  for (;;) {
    const step = await work.next()
    if (step.done === true) {
      assert.ok(step.value.kind === 'detected')
      return step.value.detection
    }
  }
}

function childrenOf(pid: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid
      } catch {
        return false
      }
    })
}

function noneLeft(): void {
  if (existsSync('/proc/self/stat')) {
    assert.deepEqual(childrenOf(process.pid), [], 'no child and no zombie is left')
  }
}

test('a second file, writing, spawning, threads, secrets of the environment and sockets are denied [UP-6]', async () => {
  const server = createServer((socket) => socket.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  process.env.PORTAGE_TEST_SANDBOX_SECRET = 'secret'
  try {
    const found = (await run(`probe ${port}`)) as Record<string, string>
    const { environment, ...rest } = found
    assert.equal(environment, '{}')
    for (const [name, answer] of Object.entries(rest)) {
      assert.match(answer, /^denied: /, name)
    }
    assert.equal(Object.keys(rest).length, 9)
  } finally {
    delete process.env.PORTAGE_TEST_SANDBOX_SECRET
    server.close()
  }
})

test('where the kernel can keep the network from the child, it does', { skip: !networkIsCut() }, async () => {
  const command = sandboxCommand(entry)
  const node = command.indexOf(process.execPath)
  const [first = '', ...before] = command.slice(0, node)
  // The same walls without Node: what a parser that breaks out of JavaScript would meet.
  const child = spawn(first, [...before, '/bin/cat', '/proc/net/dev'], { env: {}, stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  for await (const part of child.stdout) {
    text += String(part)
  }
  const interfaces = [...text.matchAll(/^\s*(\w+):/gm)].map(([, name]) => name)
  assert.deepEqual(interfaces, ['lo'])
})

test('a child that fills its memory is ended from outside', async () => {
  const started = performance.now()
  await assert.rejects(run('memory', { memoryBytesMax: 200 * 1024 * 1024 }), (error) => {
    assert.ok(error instanceof Refusal)
    assert.equal(error.code, 'LIMIT_EXCEEDED')
    assert.match(error.message, /200 MiB/)
    return true
  })
  assert.ok(performance.now() - started < 10_000)
  noneLeft()
})

test('a child that fills its heap ends with a refusal', { timeout: 60_000 }, async () => {
  await assert.rejects(run('heap', { stallMsMax: 60_000 }), { name: 'Refusal', code: 'LIMIT_EXCEEDED' })
  noneLeft()
})

test('a child that never comes to an end is ended from outside', async () => {
  await assert.rejects(run('loop', { stallMsMax: 300 }), { name: 'Refusal', code: 'FILE_UNREADABLE' })
  noneLeft()
})

test('a child that reads the same bytes for ever is ended', async () => {
  await assert.rejects(run('circle', { stallMsMax: 500 }), { name: 'Refusal', code: 'FILE_UNREADABLE' })
  noneLeft()
})

test('a child that asks and takes no answer is not answered into memory without end', async () => {
  const bytes = bytesOf('x')
  let reads = 0
  bytes.read = (_target, _at, length) => {
    reads += 1
    return Promise.resolve(length)
  }
  await assert.rejects(run('deaf', { stallMsMax: 500 }, bytes), { name: 'Refusal', code: 'FILE_UNREADABLE' })
  assert.ok(reads > 0 && reads < 20, `${reads} reads`)
  noneLeft()
})

test('a child that computes without end while it is answered slowly is ended', async () => {
  const bytes = bytesOf('0123456789')
  // An answer that never comes.
  bytes.read = () => new Promise(() => undefined)
  await assert.rejects(run('ask and loop', { stallMsMax: 300 }, bytes), { name: 'Refusal', code: 'FILE_UNREADABLE' })
  noneLeft()
})

test('a child that writes without end is ended at the limit, and waits for who reads', async () => {
  const work = sandboxed(() => Promise.resolve(bytesOf('x')), jobOf('flood'), {
    entry,
    outputBytesMax: 4 * 1024 * 1024,
  })
  await assert.rejects(
    async () => {
      for (;;) {
        await work.next()
      }
    },
    { name: 'Refusal', code: 'LIMIT_EXCEEDED' },
  )
  noneLeft()
})

test('leaving the loop ends the child and closes the file', async () => {
  const bytes = bytesOf('x')
  for await (const chunk of sandboxed(() => Promise.resolve(bytes), jobOf('hold'), { entry })) {
    assert.equal(Buffer.from(chunk).toString(), 'held\n')
    break
  }
  assert.ok(bytes.closed)
  noneLeft()
})

test('an abort ends the child with its reason', async () => {
  const stop = new AbortController()
  const work = sandboxed(() => Promise.resolve(bytesOf('x')), jobOf('hold'), { entry, signal: stop.signal })
  await work.next()
  const next = work.next()
  stop.abort(new Error('enough'))
  await assert.rejects(next, /enough/)
  noneLeft()
})

test('each way to end is a typed error', async () => {
  await assert.rejects(run('abort'), { name: 'Refusal', code: 'FILE_UNREADABLE' })
  await assert.rejects(run('exit'), { name: 'RetryableError', code: 'SANDBOX_FAILED' })
  await assert.rejects(run('nonsense'), { name: 'RetryableError', code: 'SANDBOX_FAILED' })
  await assert.rejects(run('throw'), { name: 'Refusal', code: 'FILE_UNREADABLE' })
  await assert.rejects(run('refuse'), { name: 'Refusal', code: 'FILE_ENCRYPTED', message: 'It is locked.' })
  noneLeft()
})

test('the child gets the bytes that it asks for, and an error of the store is the error of the reading', async () => {
  assert.equal(await run('read'), '23456')
  const gone = bytesOf('x')
  gone.read = () => Promise.reject(new FatalError('FILE_UNREADABLE', 'The file is no longer in the store.'))
  await assert.rejects(run('read', {}, gone), { name: 'FatalError', code: 'FILE_UNREADABLE' })
  const failing = bytesOf('x')
  failing.read = () => Promise.reject(new RetryableError('FILE_READ_FAILED', 'The store does not answer.'))
  await assert.rejects(run('read', {}, failing), { name: 'RetryableError', code: 'FILE_READ_FAILED' })
  noneLeft()
})

test('more files than children wait their turn', async () => {
  assert.deepEqual(await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => run(name))), ['a', 'b', 'c', 'd', 'e'])
  noneLeft()
})

test('a child ends with its parent, even in an endless loop', { skip: process.platform !== 'linux' }, async () => {
  const code = `
    import { sandboxed } from ${JSON.stringify(new URL('../../../src/adapters/files/sandbox.js', import.meta.url).href)}
    const bytes = { byteSize: 1, read: () => Promise.resolve(0), async [Symbol.asyncDispose]() {} }
    const job = { op: 'inspect', name: 'loop', byteSize: 1, overrides: {}, detection: null }
    const work = sandboxed(() => Promise.resolve(bytes), job, { entry: ${JSON.stringify(entry)}, stallMsMax: 60000 })
    work.next()
    setInterval(() => console.log('.'), 20)`
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let children: string[] = []
  for await (const part of parent.stdout) {
    assert.ok(part)
    children = childrenOf(parent.pid ?? 0)
    if (children.some((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('sandbox-probe'))) {
      break
    }
  }
  const [child = ''] = children
  parent.kill('SIGKILL')
  const started = performance.now()
  while (existsSync(`/proc/${child}`) && !/\) Z /.test(readFileSync(`/proc/${child}/stat`, 'latin1'))) {
    assert.ok(performance.now() - started < 5_000, 'the child lives on')
    await new Promise((resolve) => setImmediate(resolve))
  }
})
