/** Runs in the sandbox in place of the reader: tries what is forbidden, or misbehaves, as the name of its file says. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import net, { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

const BYTES_FD = 3
const MESSAGES_FD = 4
const ROWS_FD = 5

async function attempt(work: () => unknown): Promise<string> {
  try {
    await work()
    return 'allowed'
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string }
    return `denied: ${code ?? message}`
  }
}

function connect(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    new net.Socket()
      .once('connect', () => resolve())
      .once('error', reject)
      .connect(port, '127.0.0.1')
  })
}

const job = await new Promise<{ name: string; byteSize: number }>((resolve) => {
  let text = ''
  process.stdin.setEncoding('utf8').on('data', (part: string) => {
    text += part
    if (text.includes('\n')) {
      resolve(JSON.parse(text) as { name: string; byteSize: number })
    }
  })
  process.stdin.on('end', () => process.exit(0))
})
const rows = new Socket({ fd: ROWS_FD })
const messages = new Socket({ fd: MESSAGES_FD })
const [what = '', argument = ''] = job.name.split(' ')

function done(answer: unknown): void {
  messages.write(JSON.stringify({ kind: 'detected', detection: answer }), () => process.exit(0))
}

switch (what) {
  case 'probe':
    done({
      'second file': await attempt(() => readFileSync('/etc/hostname')),
      write: await attempt(() => writeFileSync(`/tmp/portage-sandbox-${process.pid}`, 'x')),
      spawn: await attempt(() => execFileSync('/bin/true')),
      thread: await attempt(() => new Worker('1', { eval: true })),
      socket: await attempt(() => connect(Number(argument))),
      fetch: await attempt(() => fetch(`http://127.0.0.1:${argument}/`)),
      signal: await attempt(() => process.kill(process.ppid, 0)),
      environment: JSON.stringify(process.env),
      // Denied is what is wanted.
      // oxlint-disable-next-line typescript/no-implied-eval
      eval: await attempt(() => new Function('return 1')()),
      environ: await attempt(() => readFileSync('/proc/self/environ')),
    })
    break
  case 'memory': {
    const kept: Buffer[] = []
    for (;;) {
      kept.push(Buffer.alloc(8 * 1024 * 1024, 1))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  case 'heap': {
    const kept: string[][] = []
    for (let i = 0; ; i += 1) {
      kept.push(Array.from({ length: 1000 }, (_, at) => `${i} ${at}`))
    }
  }
  case 'loop':
    for (;;) {
      // Forever.
    }
  case 'flood': {
    const block = Buffer.alloc(64 * 1024, 'x')
    const more = () => {
      while (rows.write(block)) {
        // Until the parent lets it wait.
      }
      rows.once('drain', more)
    }
    more()
    break
  }
  case 'abort':
    process.abort()
    break
  case 'exit':
    process.exit(3)
    break
  case 'nonsense':
    messages.write('{"kind":', () => process.exit(0))
    break
  case 'throw':
    messages.write(
      JSON.stringify({ kind: 'failed', name: 'TypeError', code: '', message: 'x is not a function', field: null }),
      () => process.exit(0),
    )
    break
  case 'refuse':
    messages.write(
      JSON.stringify({
        kind: 'failed',
        name: 'Refusal',
        code: 'FILE_ENCRYPTED',
        message: 'It is locked.',
        field: null,
      }),
      () => process.exit(0),
    )
    break
  case 'read': {
    const socket = new Socket({ fd: BYTES_FD })
    const request = Buffer.alloc(12)
    request.writeBigUInt64LE(BigInt(2), 0)
    request.writeUInt32LE(5, 8)
    socket.write(request)
    socket.on('data', (data: Buffer) => done(data.toString('latin1', 4)))
    break
  }
  case 'ask': {
    const request = Buffer.alloc(12)
    request.writeUInt32LE(5, 8)
    new Socket({ fd: BYTES_FD }).write(request, () => {
      for (;;) {
        // Forever, with a request on its way.
      }
    })
    break
  }
  case 'deaf': {
    const socket = new Socket({ fd: BYTES_FD })
    const requests = Buffer.alloc(12 * 1000)
    for (let at = 0; at < requests.length; at += 12) {
      requests.writeUInt32LE(256 * 1024, at + 8)
    }
    socket.pause().write(requests, () => {
      for (;;) {
        // Asks, and never takes an answer.
      }
    })
    break
  }
  case 'circle': {
    const socket = new Socket({ fd: BYTES_FD })
    const request = Buffer.alloc(12)
    request.writeUInt32LE(256 * 1024, 8)
    socket.write(request)
    socket.on('data', (data: Buffer) => data.length > 0 && socket.write(request))
    break
  }
  case 'hold':
    rows.write('held\n')
    break
  default:
    done(what)
}
