import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { portage } from '../../src/cli/portage.js'
import { type FakeApi, fakeIo, startFakeApi } from './fake-api.js'
import { importRun, progressEvent, rollbackRun, statusEvent } from './runs.js'

type Args<T> = { readonly input: T }

const columns = [
  {
    column: 'First name',
    columnIndex: 0,
    field: 'firstName',
    constant: null,
    defaultValue: null,
    transforms: [],
    valueMap: [],
    confidence: 0.98,
    reasons: ['the header'],
    alternatives: [],
  },
  {
    column: 'E-mail',
    columnIndex: 1,
    field: 'email',
    constant: null,
    defaultValue: null,
    transforms: [{ name: 'removePrefix', arguments: [{ name: 'prefix', value: 'mailto:' }] }],
    valueMap: [{ from: 'x', to: 'y' }],
    confidence: 0.97,
    reasons: ['the values'],
    alternatives: [],
  },
  {
    column: 'E-mail (work)',
    columnIndex: 2,
    field: null,
    constant: null,
    defaultValue: null,
    transforms: [],
    valueMap: [],
    confidence: 0.4,
    reasons: [],
    alternatives: [{ field: 'secondaryEmail', confidence: 0.4 }],
  },
]

describe('portage', { timeout: 60_000 }, () => {
  let folder: string
  let file: string
  const apis: FakeApi[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'portage-cli-'))
    file = join(folder, 'con"tacts.csv')
    await writeFile(file, 'First name,E-mail,E-mail (work)\nAda,ada@example.com,\n')
  })

  after(async () => {
    await Promise.all(apis.map((api) => api.close()))
    await rm(folder, { recursive: true })
  })

  /** An API that imports whatever it gets; `calls` are the inputs of its mutations. */
  async function importingApi(over: Parameters<typeof startFakeApi>[0] = {}) {
    const calls: Record<string, unknown>[] = []
    let reads = 0
    const api = await startFakeApi({
      fileUpload: async ({ input }: Args<{ file: File; name: string }>) => {
        const { file: sent, ...rest } = input
        calls.push({ upload: rest, sentAs: sent.name, content: await sent.text() })
        const detection = { estimatedRowCount: 1, warnings: [] }
        return {
          file: { id: 'fil_1', name: input.name, byteSize: sent.size, sha256: 'abc', detection },
          userErrors: [],
        }
      },
      mappingSuggestion: () => ({ mapping: { columns, conflicts: [], unmappedRequiredFields: [] } }),
      importCreate: ({ input }: Args<Record<string, unknown>>) => {
        calls.push({ create: input })
        return { importRun: importRun({ status: 'QUEUED' }), userErrors: [] }
      },
      run: () => {
        reads += 1
        return reads === 1 ? importRun({ status: 'QUEUED' }) : importRun()
      },
      async *runEvents() {
        yield { runEvents: statusEvent(1, null, 'ANALYZING') }
        yield { runEvents: statusEvent(2, 'QUEUED', 'RUNNING') }
        yield { runEvents: progressEvent(3, 500, 1000) }
        yield { runEvents: statusEvent(4, 'RUNNING', 'COMPLETED_WITH_ERRORS') }
        await new Promise(() => undefined)
      },
      ...over,
    })
    apis.push(api)
    return { api, calls, where: ['--url', api.url, '--token', 'secret-token'] }
  }

  test('imports a file without questions, shows it live and reports; with errors the exit code is 2', async () => {
    const { api, calls, where } = await importingApi()
    const { io, out, notes, statuses } = fakeIo()
    const options = [
      '--on-duplicate',
      'fill-blanks',
      '--match-on',
      'email',
      '--match-on',
      'firstName,lastName',
      '--source-system',
      'crm',
      '--operation',
      'update-only',
    ]
    assert.equal(
      await portage(['import', file, '--type', 'contact', '--yes', '--country', 'de', ...options, ...where], io),
      2,
    )
    assert.equal(out[0], 'Import of contacts.csv: completed with errors in 12 s')
    assert.ok(out.includes('  http://files/failed'))
    assert.ok(notes.includes('analyzing') && notes.includes('running'))
    assert.ok(statuses.some((line) => line.includes('50%  500 of 1,000 rows')))
    const [uploaded, created] = calls as [Record<string, Record<string, unknown>>, { create: Record<string, unknown> }]
    assert.equal(uploaded['content'], 'First name,E-mail,E-mail (work)\nAda,ada@example.com,\n')
    assert.equal(uploaded['upload']?.['name'], 'con"tacts.csv')
    assert.match(String(uploaded['upload']?.['idempotencyKey']), /^[0-9a-f-]{36}$/)
    const { idempotencyKey, ...input } = created.create
    assert.match(String(idempotencyKey), /^[0-9a-f-]{36}$/)
    assert.deepEqual(JSON.parse(JSON.stringify(input)), {
      fileId: 'fil_1',
      recordType: 'CONTACT',
      source: { defaultCountry: 'DE' },
      options: {
        onDuplicate: 'FILL_BLANKS',
        matchOn: [['email'], ['firstName', 'lastName']],
        sourceSystem: 'crm',
        operation: 'UPDATE_ONLY',
      },
      confirmation: 'ALWAYS',
    })
    assert.deepEqual(api.authorizations, new Set(['Bearer secret-token']))
    assert.equal([...out, ...notes, ...statuses].join('\n').includes('secret-token'), false)
  })

  test('asks on a terminal, and sends the mapping that was agreed to', async () => {
    const { calls, where } = await importingApi()
    const { io, notes } = fakeIo(['y'])
    assert.equal(await portage(['import', file, '--type', 'contact', ...where], io), 2)
    assert.ok(
      notes.some((line) => /^ {2}First name +firstName +0\.98 {2}the header$/.test(line)),
      notes.join('\n'),
    )
    assert.ok(
      notes.some((line) => /^ {2}E-mail +email \(removePrefix\) +0\.97/.test(line)),
      notes.join('\n'),
    )
    assert.ok(
      notes.some((line) => /^ {2}E-mail \(work\) +\(left out\) +perhaps secondaryEmail \(0\.40\)$/.test(line)),
      notes.join('\n'),
    )
    const { mapping } = (calls[1] ?? {})['create'] as { mapping: unknown }
    assert.deepEqual(JSON.parse(JSON.stringify(mapping)), [
      { column: 'First name', columnIndex: 0, field: 'firstName' },
      {
        column: 'E-mail',
        columnIndex: 1,
        field: 'email',
        transforms: [{ name: 'removePrefix', arguments: [{ name: 'prefix', value: 'mailto:' }] }],
        valueMap: [{ from: 'x', to: 'y' }],
      },
    ])
  })

  test('does nothing when the answer is no, and refuses clearly where nobody can be asked', async () => {
    const { calls, where } = await importingApi()
    const no = fakeIo(['n'])
    assert.equal(await portage(['import', file, '--type', 'contact', ...where], no.io), 1)
    const nobody = fakeIo()
    assert.equal(await portage(['import', file, '--type', 'contact', ...where], nobody.io), 1)
    assert.match(nobody.notes.at(-1) ?? '', /--yes/)
    assert.equal(
      calls.some((call) => 'create' in call),
      false,
    )
  })

  test('--map gives a field to one column, takes it from another and leaves columns out', async () => {
    const { calls, where } = await importingApi()
    const { io } = fakeIo()
    const maps = ['--map', 'e-mail (WORK)=email', '--map', 'First name=', '--format', 'E-mail (work)=text']
    assert.equal(await portage(['import', file, '--type', 'contact', '--yes', ...maps, ...where], io), 2)
    const { mapping } = (calls[1] ?? {})['create'] as { mapping: unknown }
    assert.deepEqual(JSON.parse(JSON.stringify(mapping)), [
      { column: 'E-mail (work)', columnIndex: 2, field: 'email', format: 'text' },
    ])
    const unknown = fakeIo()
    assert.equal(
      await portage(['import', file, '--type', 'contact', '--yes', '--map', 'Fax=fax', ...where], unknown.io),
      1,
    )
    assert.match(unknown.notes.at(-1) ?? '', /no column "Fax".*"First name", "E-mail"/s)
  })

  test('--json writes lines of JSON and nothing else to standard output', async () => {
    const { where } = await importingApi()
    const { io, json, notes } = fakeIo()
    assert.equal(await portage(['import', file, '--type', 'contact', '--yes', '--json', ...where], io), 2)
    assert.deepEqual(
      json().map(({ event }) => event),
      [
        'uploaded',
        'mapping',
        'started',
        'RunStatusChanged',
        'RunStatusChanged',
        'RunProgressed',
        'RunStatusChanged',
        'report',
      ],
    )
    assert.deepEqual(notes, [])
  })

  test('what the server refuses is told, with exit code 1', async () => {
    const refusing = () => ({
      file: null,
      userErrors: [{ code: 'FILE_EMPTY', field: ['file'], message: 'The file is empty.' }],
    })
    const { where } = await importingApi({ fileUpload: refusing })
    const { io, notes } = fakeIo()
    assert.equal(await portage(['import', file, '--type', 'contact', '--yes', ...where], io), 1)
    assert.deepEqual(notes, ['The file is empty.'])
    const asJson = fakeIo()
    assert.equal(await portage(['import', file, '--type', 'contact', '--yes', '--json', ...where], asJson.io), 1)
    assert.deepEqual(asJson.json(), [{ event: 'error', code: 'FILE_EMPTY', message: 'The file is empty.' }])
  })

  test('a run that waits for a mapping ends the watching with exit code 1', async () => {
    const waiting = importRun({ status: 'AWAITING_MAPPING', finishedAt: null })
    const { where } = await importingApi({ run: () => waiting })
    const { io, out } = fakeIo()
    assert.equal(await portage(['import', file, '--type', 'contact', '--yes', ...where], io), 1)
    assert.ok(out.some((line) => line.startsWith('The mapping needs a decision')))
  })

  test('watching survives lost connections and sees every event once', async () => {
    const seen: (string | null)[] = []
    let reads = 0
    const { api, where } = await importingApi({
      run: () => {
        reads += 1
        return reads === 1 ? importRun({ status: 'RUNNING' }) : importRun({ status: 'COMPLETED' })
      },
      async *runEvents({ after: position }: { after: string | null }) {
        seen.push(position ?? null)
        for (let sequence = Number(position ?? 0) + 1; sequence < 40; sequence += 1) {
          yield { runEvents: progressEvent(sequence, sequence, 40) }
          if (sequence % 10 === 0) {
            setImmediate(() => api.cut())
            await new Promise(() => undefined)
          }
        }
        yield { runEvents: statusEvent(40, 'RUNNING', 'COMPLETED') }
        await new Promise(() => undefined)
      },
    })
    const { io, json, notes } = fakeIo()
    assert.equal(await portage(['watch', 'run_1', '--json', ...where], io), 0)
    const sequences = json().flatMap(({ sequence }) => (sequence === undefined ? [] : [Number(sequence)]))
    assert.deepEqual(
      sequences,
      Array.from({ length: 40 }, (_, index) => index + 1),
    )
    assert.ok(seen.length >= 4, `${seen.length} connections`)
    assert.match(notes[0] ?? '', /connection is lost/)
  })

  test('watching a run that was undone is not fooled by its first end', async () => {
    let reads = 0
    const { where } = await importingApi({
      run: () => {
        reads += 1
        return importRun({ status: reads <= 2 ? 'ROLLING_BACK' : 'ROLLED_BACK' })
      },
      async *runEvents() {
        yield { runEvents: statusEvent(1, 'RUNNING', 'COMPLETED') }
        yield { runEvents: statusEvent(2, 'COMPLETED', 'ROLLING_BACK') }
        yield { runEvents: statusEvent(3, 'ROLLING_BACK', 'ROLLED_BACK') }
        await new Promise(() => undefined)
      },
    })
    const { io, json } = fakeIo()
    assert.equal(await portage(['watch', 'run_1', '--json', ...where], io), 0)
    assert.equal(json().length, 4)
  })

  test('an interrupt ends the watching and not the run', async () => {
    const interrupt = new AbortController()
    const { where } = await importingApi({
      run: () => importRun({ status: 'RUNNING' }),
      async *runEvents() {
        yield { runEvents: progressEvent(1, 1, 40) }
        interrupt.abort()
        await new Promise(() => undefined)
      },
    })
    const { io, notes } = fakeIo(null, interrupt.signal)
    assert.equal(await portage(['watch', 'run_1', ...where], io), 130)
    assert.match(notes.at(-1) ?? '', /goes on/)
  })

  test('a subscription that the server refuses ends with its words', async () => {
    const { where } = await importingApi({
      run: () => importRun({ status: 'RUNNING' }),
      runEvents: () => {
        throw new Error('You may not watch this.')
      },
    })
    const { io, notes } = fakeIo()
    assert.equal(await portage(['watch', 'run_1', ...where], io), 1)
    assert.deepEqual(notes, ['You may not watch this.'])
  })

  test('undoes an import and reports the conflicts', async () => {
    const inputs: unknown[] = []
    const { where } = await importingApi({
      runRollback: ({ input }: Args<Record<string, unknown>>) => {
        inputs.push({ ...input, idempotencyKey: typeof input['idempotencyKey'] })
        return { rollbackRun: rollbackRun(), userErrors: [] }
      },
      run: () => rollbackRun(),
    })
    const { io, out } = fakeIo()
    assert.equal(await portage(['rollback', 'run_1', '--on-conflict', 'keep', ...where], io), 0)
    assert.deepEqual(inputs, [{ runId: 'run_1', onConflict: 'KEEP', idempotencyKey: 'string' }])
    assert.ok(out.includes('1 conflict: changed since the import'))
  })

  test('lists runs', async () => {
    const asked: unknown[] = []
    const { where } = await importingApi({
      runs: (args: unknown) => {
        asked.push({ ...(args as object) })
        return { nodes: [rollbackRun(), importRun()], pageInfo: { hasNextPage: false, hasPreviousPage: false } }
      },
    })
    const { io, out } = fakeIo()
    assert.equal(await portage(['runs', '--first', '2', '--status', 'completed', ...where], io), 0)
    assert.deepEqual(asked, [{ first: 2, statuses: ['COMPLETED'] }])
    assert.deepEqual(out, [
      'Run    What               Status                  Rows  Failed  Created           By',
      'run_2  rollback of run_1  completed                988       0  2026-11-22 10:00  ada@example.com',
      'run_1  contacts.csv       completed with errors  1,000      12  2026-11-22 10:00  ada@example.com',
    ])
  })

  test('says what to do when nothing answers, the address is wrong or the run is not there', async () => {
    const { where } = await importingApi({ run: () => null })
    const missing = fakeIo()
    assert.equal(await portage(['watch', 'run_9', ...where], missing.io), 1)
    assert.deepEqual(missing.notes, ['There is no run with the id "run_9".'])
    const nobody = fakeIo()
    assert.equal(await portage(['runs', '--url', 'http://127.0.0.1:9', '--token', 't'], nobody.io), 1)
    assert.match(nobody.notes[0] ?? '', /^Nothing answers at http:\/\/127\.0\.0\.1:9.*npm start/)
    const wrong = fakeIo()
    assert.equal(await portage(['runs', '--url', 'localhost:4000', '--token', 't'], wrong.io), 1)
    assert.match(wrong.notes[0] ?? '', /is not an address/)
  })

  test('tries again when a server that had answered is restarting, and waits when it is asked to', async (t) => {
    const statuses = [200, 503, 429, 200]
    const url = await serve(t, (_request, response) => {
      const status = statuses.shift() ?? 200
      const run = importRun({ status: 'COMPLETED' })
      response
        .writeHead(status, { 'retry-after': '0' })
        .end(status === 200 ? JSON.stringify({ data: { run } }) : 'busy')
    })
    const { io } = fakeIo()
    assert.equal(await portage(['watch', 'run_1', '--url', url, '--token', 't'], io), 0)
    assert.deepEqual(statuses, [])
  })

  test('a file that is refused by its size is not sent', async (t) => {
    let received = 0
    const url = await serve(t, (request, response) => {
      request.on('data', (block: Buffer) => {
        received += block.length
      })
      response.writeHead(413, { connection: 'close' }).end(JSON.stringify({ errors: [{ message: 'Too large.' }] }))
    })
    const large = await sparse(join(folder, 'large.csv'), 50_000_000)
    const { io, notes } = fakeIo()
    assert.equal(await portage(['import', large, '--type', 'contact', '--yes', '--url', url, '--token', 't'], io), 1)
    assert.deepEqual(notes, ['Too large.'])
    assert.equal(received, 0)
  })

  test('a large file is never held in memory', async (t) => {
    const byteSize = 600_000_000
    let received = 0
    let most = 0
    const url = await serve(t, (request, response) => {
      request.on('data', (block: Buffer) => {
        received += block.length
        most = Math.max(most, process.memoryUsage().arrayBuffers)
      })
      const session = { id: 'upl_1', offset: 0 }
      const answer =
        request.method === 'POST'
          ? { data: { uploadBegin: { uploadSession: session, userErrors: [] } } }
          : { errors: [{ message: 'Seen enough.' }] }
      request.on('end', () => response.writeHead(request.method === 'POST' ? 200 : 400).end(JSON.stringify(answer)))
    })
    const large = await sparse(join(folder, 'larger.csv'), byteSize)
    const { io, notes } = fakeIo()
    assert.equal(await portage(['import', large, '--type', 'contact', '--yes', '--url', url, '--token', 't'], io), 1)
    assert.deepEqual(notes, ['Seen enough.'])
    assert.ok(received > byteSize)
    assert.ok(most < byteSize / 2, `${most} bytes held`)
  })

  test('helps with every command and refuses what it does not know', async () => {
    for (const command of [
      'import',
      'export',
      'download',
      'templates',
      'runs',
      'watch',
      'rollback',
      'tenant',
      'token',
    ]) {
      const { io, out } = fakeIo()
      assert.equal(await portage([command, '--help'], io), 0)
      assert.match(out[0] ?? '', new RegExp(`^portage ${command}: `))
    }
    const mistaken = [
      [],
      ['fly'],
      ['import'],
      ['export'],
      ['export', 'contact'],
      ['export', 'cat', '-o', 'x.csv'],
      ['export', 'contact', '-o', 'x.csv', '--filter', 'nothing'],
      ['export', 'contact', '-o', 'x.csv', '--filter', '{nothing'],
      ['export', 'contact', '-o', 'x.csv', '--columns', 'a,,b'],
      ['export', 'contact', '-o', 'x.csv', '--format', 'pdf'],
      ['download'],
      ['templates', 'x'],
      ['import', file],
      ['import', file, '--type', 'cat'],
      ['import', 'none.csv', '--type', 'lead'],
      ['watch'],
      ['runs', 'x'],
      ['runs', '--first', '0'],
      ['tenant'],
      ['token'],
      ['rollback', 'run_1', '--on-conflict', 'x'],
    ]
    for (const args of mistaken) {
      const { io, out, notes } = fakeIo()
      assert.equal(await portage(args, io), 1, args.join(' '))
      assert.ok([...out, ...notes].join('').length > 20)
    }
  })
})

async function sparse(path: string, byteSize: number): Promise<string> {
  const handle = await open(path, 'w')
  await handle.truncate(byteSize)
  await handle.close()
  return path
}

/** A bare server for one test; answers its address. */
async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
