import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { portage } from '../../src/cli/portage.js'
import { type FakeApi, fakeIo, startFakeApi } from './fake-api.js'
import { importRun, noCounts, statusEvent } from './runs.js'

type Args<T> = { readonly input: T }

const noRow = { recordId: null, sourceId: null, changes: [], related: [], issues: [], cells: [] }

const rows = [
  {
    ...noRow,
    rowNumber: 2,
    outcome: 'UPDATED',
    recordId: 'con_1',
    sourceId: '1',
    changes: [
      { field: 'lastName', before: 'Hopper', after: 'Murray \u001b[2JHopper' },
      { field: 'birthDate', before: null, after: '1906-12-09' },
    ],
    related: [
      {
        path: 'organization',
        recordType: 'CONTACT',
        recordId: null,
        outcome: 'CREATED',
        changes: [{ field: 'displayName', before: null, after: 'Navy' }],
      },
    ],
  },
  {
    ...noRow,
    rowNumber: 1003,
    outcome: 'CREATED',
    changes: Array.from({ length: 14 }, (_, i) => ({ field: `field${i}`, before: null, after: 'x'.repeat(i * 10) })),
  },
  {
    ...noRow,
    rowNumber: 1004,
    outcome: 'FAILED',
    issues: [
      {
        code: 'INVALID_EMAIL',
        rowNumber: 1004,
        column: 'Mail',
        field: 'email',
        severity: 'ERROR',
        value: 'ada@',
        message: 'The value is not an e-mail address.',
        suggestion: null,
      },
    ],
  },
]

/** The plan of a made-up import. `asked` gets the arguments of its rows. */
function planned(status: string, asked: unknown[] = []) {
  return {
    ...importRun({ status }),
    statusReason: {
      code: 'CONFIRMATION_NEEDED',
      message: 'The plan stands: 12 of 1000 rows will fail.',
      retryable: true,
    },
    plan: {
      hash: 'abc',
      createdAt: '2026-11-22T10:00:00.000Z',
      counts: { ...noCounts, total: 1000, read: 1000, created: 900, updated: 88, failed: 12 },
      columnFormats: [
        { column: 'Born', field: 'birthDate', format: 'MM/dd/yyyy', ambiguous: false, provenByRow: 3 },
        { column: 'Since', field: 'since', format: 'dd/MM/yyyy', ambiguous: true, provenByRow: null },
      ],
      rows: (args: { first: number; outcome: string[] | null }) => {
        asked.push({ first: args.first, outcome: args.outcome === undefined ? undefined : args.outcome })
        const nodes = rows.filter(({ outcome }) => args.outcome == null || args.outcome.includes(outcome))
        return {
          totalCount: args.outcome?.includes('CREATED') === true ? 900 : nodes.length,
          nodes: nodes.slice(0, args.first),
        }
      },
    },
  }
}

const summary = [
  'Plan of contacts.csv: nothing has been written yet',
  'Run run_1',
  '',
  '  rows              1,000',
  '  would be created    900',
  '  would be updated     88',
  '  would fail           12',
  '',
  'How columns are read',
  '  Born   MM/dd/yyyy  proven by row 3',
  '  Since  dd/MM/yyyy  not proven: its values can be read in other ways, too; --format says which is right',
  '',
  'Issues',
  '  12 x INVALID_EMAIL, column "E-mail", rows 17 to 980',
  '      is not an e-mail address',
  '      for example "ada@", "bob at example", "c@d"',
  '',
  'Would be updated',
  '  row 2 updated, con_1 ("1")',
  '      lastName: "Hopper" -> "Murray  [2JHopper"',
  '      birthDate: blank -> "1906-12-09"',
  '      its organization created: displayName: "Navy"',
  '',
  'Would be created',
  '  row 1,003 created',
  '      field0: ""',
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => `      field${i}: "${'x'.repeat(i * 10)}"`),
  ...[9, 10, 11].map((i) => `      field${i}: "${'x'.repeat(77)}..."`),
  '      and 2 more fields',
  '  and 899 more',
]

describe('portage and plans', { timeout: 60_000 }, () => {
  let folder: string
  let file: string
  const apis: FakeApi[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'portage-plan-'))
    file = join(folder, 'contacts.csv')
    await writeFile(file, 'E-mail\nada@example.com\n')
  })

  after(async () => {
    await Promise.all(apis.map((api) => api.close()))
    await rm(folder, { recursive: true })
  })

  /** An API whose import goes from status to status: it waits for confirmation, or, started to go on by itself, ends. */
  async function planningApi(over: Parameters<typeof startFakeApi>[0] = {}, waits = true) {
    const calls: Record<string, unknown>[] = []
    const asked: unknown[] = []
    let status = 'PLANNING'
    const api = await startFakeApi({
      fileUpload: ({ input }: Args<{ name: string }>) => ({
        file: {
          id: 'fil_1',
          name: input.name,
          byteSize: 10,
          sha256: 'a',
          detection: { estimatedRowCount: 1, warnings: [] },
        },
        userErrors: [],
      }),
      mappingSuggestion: () => ({
        mapping: {
          columns: [
            {
              column: 'E-mail',
              columnIndex: 0,
              field: 'email',
              constant: null,
              defaultValue: null,
              transforms: [],
              valueMap: [],
              confidence: 0.97,
              reasons: [],
              alternatives: [],
            },
          ],
          conflicts: [],
          unmappedRequiredFields: [],
        },
      }),
      importCreate: ({ input }: Args<Record<string, unknown>>) => {
        calls.push({ create: input })
        return { importRun: importRun({ status }), userErrors: [] }
      },
      importConfirm: ({ input }: Args<Record<string, unknown>>) => {
        calls.push({ confirm: { ...input, idempotencyKey: typeof input['idempotencyKey'] } })
        status = 'QUEUED'
        return { importRun: importRun({ status }), userErrors: [] }
      },
      run: () => importRun({ status }),
      importRun: () => planned(status, asked),
      async *runEvents({ after: position }: { after: string | null }) {
        calls.push({ eventsAfter: position == null ? null : Number(position) })
        if (status === 'PLANNING') {
          yield { runEvents: statusEvent(1, null, 'PLANNING') }
          status = waits ? 'AWAITING_CONFIRMATION' : 'COMPLETED'
          yield { runEvents: statusEvent(2, 'PLANNING', status) }
        } else {
          yield { runEvents: statusEvent(3, 'AWAITING_CONFIRMATION', 'QUEUED') }
          status = 'COMPLETED'
          yield { runEvents: statusEvent(4, 'RUNNING', 'COMPLETED') }
        }
        await new Promise(() => undefined)
      },
      ...over,
    })
    apis.push(api)
    const wait = () => {
      status = 'AWAITING_CONFIRMATION'
    }
    return { calls, asked, wait, where: ['--url', api.url, '--token', 'secret-token'] }
  }

  test('import --plan shows what would happen, asks once, and applies that plan', async () => {
    const { calls, where } = await planningApi()
    const { io, out, notes } = fakeIo(['y'])
    const args = ['import', file, '--type', 'contact', '--plan', '--on-drift', 'fail-run', ...where]
    assert.equal(await portage(args, io), 0)
    assert.deepEqual(out.slice(0, summary.length), summary)
    assert.equal(out[summary.length], 'Import of contacts.csv: completed in 12 s')
    assert.ok(notes.includes('planning') && notes.includes('queued'), notes.join('\n'))
    const created = calls[0]?.['create'] as Record<string, unknown>
    assert.equal(created['confirmation'], 'ASK')
    assert.deepEqual(JSON.parse(JSON.stringify([created['options'], created['mapping']])), [
      { onDrift: 'FAIL_RUN' },
      [{ column: 'E-mail', columnIndex: 0, field: 'email' }],
    ])
    assert.deepEqual(calls.slice(1), [
      { eventsAfter: null },
      { confirm: { runId: 'run_1', planHash: 'abc', idempotencyKey: 'string' } },
      // What was shown before is not shown again.
      { eventsAfter: 2 },
    ])
  })

  for (const { answers, words } of [
    {
      answers: ['n'],
      words: /^Nothing was written\. The plan waits: npm run -s portage -- confirm run_1 applies it\.$/,
    },
    {
      answers: null,
      words: /^Nobody is there to agree to this plan\. Nothing was written\. The plan waits: .* confirm run_1 /,
    },
  ]) {
    test(`a plan that ${answers === null ? 'nobody is there to see' : 'a person does not want'} waits, with exit code 1`, async () => {
      const { calls, where } = await planningApi()
      const { io, notes } = fakeIo(answers)
      assert.equal(await portage(['import', file, '--type', 'contact', '--plan', ...where], io), 1)
      assert.match(notes.at(-1) ?? '', words)
      assert.equal(
        calls.some((call) => 'confirm' in call),
        false,
      )
      // Without a person to see it the server applies of the suggestion what it is sure of.
      const created = calls[0]?.['create'] as Record<string, unknown>
      assert.equal('mapping' in created, answers !== null)
    })
  }

  test('import --plan --yes goes on by itself, and waits without a question if a row would fail', async () => {
    const clean = await planningApi({}, false)
    const first = fakeIo()
    assert.equal(await portage(['import', file, '--type', 'contact', '--plan', '--yes', ...clean.where], first.io), 0)
    const created = clean.calls[0]?.['create'] as Record<string, unknown>
    assert.equal(created['confirmation'], 'IF_NO_ERRORS')
    assert.equal(first.out[0], 'Import of contacts.csv: completed in 12 s')
    const faulty = await planningApi()
    const second = fakeIo(['y'])
    assert.equal(await portage(['import', file, '--type', 'contact', '--plan', '--yes', ...faulty.where], second.io), 1)
    assert.deepEqual(second.out, summary)
    assert.match(second.notes.at(-1) ?? '', /12 of 1000 rows will fail.*Nothing was written.*confirm run_1/)
    assert.equal(
      faulty.calls.some((call) => 'confirm' in call),
      false,
    )
  })

  test('Ctrl-C while the plan waits for an answer leaves it waiting and says how to go on', async () => {
    for (const command of [['import', '--type', 'contact', '--plan'], ['confirm']]) {
      const { calls, wait, where } = await planningApi()
      const [name = '', ...options] = command
      if (name === 'confirm') {
        wait()
      }
      const interrupt = new AbortController()
      const { io, notes } = fakeIo(['y'], interrupt.signal)
      const pressing = {
        ...io,
        ask: async () => {
          interrupt.abort()
          throw new Error('aborted')
        },
      }
      const what = name === 'import' ? file : 'run_1'
      assert.equal(await portage([name, what, ...options, ...where], pressing), 130)
      assert.match(notes.at(-1) ?? '', /^Interrupted\. Nothing was written.*plan run_1 shows.*confirm run_1 applies/)
      assert.equal(
        calls.some((call) => 'confirm' in call),
        false,
      )
    }
  })

  test('--json writes the plan and the word that was given as lines among the events', async () => {
    const { where } = await planningApi()
    const { io, json } = fakeIo(['yes'])
    assert.equal(await portage(['import', file, '--type', 'contact', '--plan', '--json', ...where], io), 0)
    const lines = json()
    assert.deepEqual(
      lines.map(({ event }) => event),
      [
        'uploaded',
        'mapping',
        'started',
        'RunStatusChanged',
        'RunStatusChanged',
        'plan',
        'confirmed',
        'RunStatusChanged',
        'RunStatusChanged',
        'report',
      ],
    )
    interface Line {
      readonly plan: { readonly hash: string; readonly updated: { readonly nodes: { readonly changes: unknown[] }[] } }
    }
    const line = lines[5]?.['run'] as Line
    const { plan } = line
    assert.equal(plan.hash, 'abc')
    assert.deepEqual(plan.updated.nodes[0]?.changes[1], { field: 'birthDate', before: null, after: '1906-12-09' })
  })

  test('plan shows the plan of a run, or so many of its rows', async () => {
    const { asked, wait, where } = await planningApi()
    wait()
    const whole = fakeIo()
    assert.equal(await portage(['plan', 'run_1', ...where], whole.io), 0)
    assert.deepEqual(whole.out, summary)
    assert.match(whole.notes.at(-1) ?? '', /confirm run_1/)
    asked.length = 0
    const some = fakeIo()
    assert.equal(
      await portage(['plan', 'run_1', '--rows', '2', '--outcome', 'failed', '--outcome', 'updated', ...where], some.io),
      0,
    )
    assert.deepEqual(asked, [{ first: 2, outcome: ['FAILED', 'UPDATED'] }])
    assert.deepEqual(some.out.slice(-7), [
      'Rows',
      ...summary.slice(18, 22),
      '  row 1,004 failed',
      '      INVALID_EMAIL: The value is not an e-mail address.',
    ])
    for (const args of [['plan'], ['plan', 'run_1', '--rows', '501'], ['plan', 'run_1', '--outcome', 'lost']]) {
      const { io, notes } = fakeIo()
      assert.equal(await portage([...args, ...where], io), 1)
      assert.match(notes.join(), /--help/)
    }
  })

  test('a run without a plan says so, and so does one whose plan is being made', async () => {
    for (const [status, words] of [
      ['PLANNING', /is being made.*watch run_1/],
      ['COMPLETED', /has no plan; it is completed/],
    ] as const) {
      const { where } = await planningApi({ importRun: () => ({ ...planned(status), plan: null }) })
      for (const command of ['plan', 'confirm']) {
        const { io, notes } = fakeIo(['y'])
        assert.equal(await portage([command, 'run_1', ...where], io), 1)
        assert.match(notes.join(), words)
      }
    }
    const { where } = await planningApi({ importRun: () => null })
    const { io, notes } = fakeIo()
    assert.equal(await portage(['plan', 'run_9', ...where], io), 1)
    assert.deepEqual(notes, ['There is no import with the id "run_9".'])
  })

  test('confirm applies the plan that was shown, and none with another hash', async () => {
    const { calls, wait, where } = await planningApi()
    wait()
    const other = fakeIo(['y'])
    assert.equal(await portage(['confirm', 'run_1', '--hash', 'old', '--yes', '--json', ...where], other.io), 1)
    assert.equal(other.json()[0]?.['code'], 'PLAN_STALE')
    assert.deepEqual(calls, [])
    const { io, out } = fakeIo()
    assert.equal(await portage(['confirm', 'run_1', '--hash', 'abc', '--yes', ...where], io), 0)
    assert.deepEqual(out.slice(0, summary.length), summary)
    assert.deepEqual(calls[0], { confirm: { runId: 'run_1', planHash: 'abc', idempotencyKey: 'string' } })
    const late = fakeIo(['y'])
    assert.equal(await portage(['confirm', 'run_1', ...where], late.io), 1)
    assert.match(late.notes.join(), /can be confirmed; this one is completed/)
  })

  test('a plan that went stale between the look and the word is refused in the words of the server', async () => {
    const message = 'The plan with this hash does not stand any more.'
    const { wait, where } = await planningApi({
      importConfirm: () => ({ importRun: null, userErrors: [{ code: 'PLAN_STALE', field: ['planHash'], message }] }),
    })
    wait()
    const { io, notes } = fakeIo(['y'])
    assert.equal(await portage(['confirm', 'run_1', ...where], io), 1)
    assert.equal(notes.at(-1), message)
  })
})
