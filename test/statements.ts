/**
 * What this service promises of its reliability and security, statement by statement. A statement is met where a test or a scenario
 * of `npm run chaos` bears its id in its title; `open` says why one is not. docs/OPERATIONS.md and docs/SECURITY.md have the
 * tables, which are written from here (`node dist/test/emit-schema.js`), so that no count is made by hand.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Statement {
  readonly id: string
  readonly text: string
  /** Why it is not met, or not at its number; absent: it is. */
  readonly open?: string
}

const root = join(import.meta.dirname, '..', '..')

/** The statements about crashes, data, quotas, upgrades and watching. */
export const operations: readonly Statement[] = [
  {
    id: 'CS-1',
    text: '200 kills of a worker at random moments leave records, counters, journal and events as without; the next chunk follows within 2 s (p95), 10 s at most',
  },
  { id: 'CS-2', text: '20 kills of the database leave the same; work goes on within 5 s of its return' },
  { id: 'CS-3', text: '100 cut connections, 50 of them between a commit and its answer, leave the same' },
  { id: 'CS-4', text: 'A worker frozen in mid-chunk is taken over within 10 s, and writes nothing when it wakes' },
  {
    id: 'CS-5',
    text: '50 kills of the API while files come and imports start: one run per key, no file without a run or an end',
  },
  { id: 'CS-6', text: 'A row that throws, hangs or eats memory is told apart and fails; the others land within 60 s' },
  { id: 'CS-7', text: '50 restarts of one run do not use it up; attempts count only where it has not moved' },
  {
    id: 'CS-8',
    text: 'A full disk pauses a run, which goes on by itself within 30 s of space; new runs are refused below the watermark',
  },
  { id: 'CS-9', text: 'Clocks that are an hour off decide no lease, order no event and end no token wrongly' },
  { id: 'CS-10', text: 'Faults at 25 named moments and more, by 500 seeds, break none of these statements' },
  { id: 'CS-11', text: '50 kills around the ends of runs: one e-mail and one delivery id for each fact' },
  { id: 'DL-1', text: 'A run ends with its rows accounted for, by a CHECK; none of 1,000 random runs breaks it' },
  { id: 'DL-2', text: 'Undoing 200,000 upserts restores the table, hash-equal, within 60 s' },
  { id: 'DL-3', text: 'Undoing with 1,000 later edits lists exactly those, with three values, and leaves them alone' },
  { id: 'DL-4', text: 'Before-images are those that were overwritten, with 8 people editing meanwhile' },
  { id: 'DL-5', text: '50 kills during an undo leave what one undisturbed leaves' },
  {
    id: 'DL-6',
    text: 'A cancel takes effect within a chunk or 2 s, with exact counters, and what landed can be undone',
  },
  {
    id: 'DL-7',
    text: 'What is exported imports again unchanged: four record types, CSV, XLSX and JSON, every kind of value',
  },
  { id: 'DL-8', text: 'An export that is killed 20 times is never offered in part; it is of one snapshot' },
  {
    id: 'DL-9',
    text: '10,000 edits at a CRM while it is read, late ones and equal times included: none missed, and a second delivery changes nothing',
  },
  { id: 'DL-10', text: 'Two imports of the same 50,000 addresses at once make 50,000 records and show no deadlock' },
  { id: 'QF-1', text: '200 requests at a limit at once are granted exactly the limit' },
  { id: 'QF-2', text: 'Over 1,000 random runs with kills and cancels what was reserved is what was used and released' },
  { id: 'QF-3', text: 'With 100 runs of one tenant queued, another tenant’s starts within 2 s' },
  { id: 'QF-4', text: 'Of three tenants that import at once the slowest takes at most 1.5 times the fastest' },
  {
    id: 'QF-5',
    text: 'While 4 imports run on 2 cores, the API answers within 250 ms (p95), 1 s (p99), and its event loop lags by 50 ms at most (p99)',
  },
  { id: 'QF-6', text: 'Every refusal for a quota or rate says when to come again, before a byte is stored' },
  {
    id: 'QF-7',
    text: '50 subscribers that do not read for a minute cost the API at most 50 MB, and those who read are told within 500 ms (p95)',
  },
  {
    id: 'SU-1',
    text: 'SIGTERM: not ready within 1 s, gone within 10 s, runs handed back without an attempt, sockets closed with 1001',
  },
  {
    id: 'SU-2',
    text: 'Rolling upgrades during an import change nothing of it; jobs of an unknown version are left to newer workers',
  },
  { id: 'SU-3', text: 'Migrations under load fail no request and block none for more than 200 ms' },
  {
    id: 'SU-4',
    text: 'A database that is away at the start or for minutes leads to 503 and no crash; all goes on within 5 s of its return',
  },
  {
    id: 'OB-1',
    text: 'Metrics of every operation, of jobs, queue, leases and seals in base units; at most 2,000 series with 500 tenants',
  },
  {
    id: 'OB-2',
    text: 'One trace from the mutation through the queue to the chunk; job lines bear tenant, run and trace; data forges no line',
  },
  {
    id: 'OB-3',
    text: '/livez without a database; /readyz within 200 ms and false within 5 s; a run without progress raises an alert',
  },
  {
    id: 'OB-4',
    text: 'Across 50 kills of the API a subscriber misses and repeats nothing, within 500 ms of the commit (p95)',
  },
]

/** The statements about tenants, permissions, hostile input, outside services and the audit. */
export const security: readonly Statement[] = [
  {
    id: 'IS-1',
    text: 'Every table has a tenant and a forced policy for reading and writing; the roles own nothing and bypass nothing; a table that breaks this fails the build',
  },
  {
    id: 'IS-2',
    text: 'No operation, argument or field shows a byte of a neighbour; a field without a case fails the build',
  },
  { id: 'IS-3', text: 'A neighbour’s id is answered as any id is' },
  { id: 'IS-4', text: 'A neighbour’s id is answered as fast as any: 1 ms or 5 % apart over 1,000 pairs' },
  { id: 'IS-5', text: 'Every unique and foreign key begins with the tenant; ids tell nothing of their number' },
  {
    id: 'IS-6',
    text: '10,000 transactions of 50 tenants on 4 connections, with errors, time-outs and cancels, see no row of another; a statement without a tenant raises',
  },
  {
    id: 'IS-7',
    text: 'A job that pairs a run with another tenant is refused and audited; the API cannot read the queue',
  },
  {
    id: 'IS-8',
    text: '200 subscribers of 20 tenants get none of each other’s 100,000 events; notices hold ids and numbers alone',
  },
  {
    id: 'IS-9',
    text: 'Files, failed rows, exports, e-mails, logs and metrics of a tenant hold nothing of its neighbour',
  },
  {
    id: 'IS-10',
    text: 'A tenant, or a person, that is erased leaves nothing in tables, files, journal, queue or audit payloads',
  },
  {
    id: 'AR-1',
    text: 'Every operation has its permission; the table in code, the docs and what is refused are the same',
  },
  { id: 'AR-2', text: '20 kinds of forged tokens and more are refused' },
  {
    id: 'AR-3',
    text: 'A member or key that is disabled is refused at the next request, and its sockets close within 5 s',
  },
  { id: 'AR-4', text: 'A socket closes when its token ends; a new one goes on where it was' },
  { id: 'AR-5', text: 'No mapping writes a protected column; every column is either of a field or protected' },
  { id: 'AR-6', text: 'Previews, files and links obey the permissions of fields' },
  {
    id: 'UP-1',
    text: '40 hostile files and more end within 10 s, and hold up nobody else by more than twice the time',
    open: 'each of 54 ends within 8 s, also four at once, but a neighbour waits 33 to 41 ms (p95) meanwhile instead of 8 to 9 (2 cores, `npm run chaos -- --only hostile`).',
  },
  { id: 'UP-2', text: 'Archives that unpack to too much are refused by counting what comes out' },
  { id: 'UP-3', text: 'A small sheet that claims a million rows is read by its cells; too many columns are refused' },
  { id: 'UP-4', text: 'Prototypes are as before after every parse; their names are plain data' },
  { id: 'UP-5', text: 'Entities, external parts and paths that lead out are neither followed nor written' },
  { id: 'UP-6', text: 'A parser can read no second file, write, spawn, start threads, see secrets or open sockets' },
  { id: 'UP-7', text: 'Of an upload that may not be, no byte is stored and at most 64 KB are read' },
  { id: 'UP-8', text: 'Limits of number and size of files are enforced at their edge, and nothing is kept' },
  {
    id: 'UP-9',
    text: 'What an upload leaves on a disk that was broken off is gone at the next start and within 15 minutes, and counts against the tenant’s store',
  },
  {
    id: 'UP-10',
    text: 'Safe exports neutralise every formula in text, exact ones lose nothing, and imports take the sign away again',
  },
  { id: 'UP-11', text: 'Names of files lead nowhere and forge no header' },
  {
    id: 'UP-12',
    text: 'A file that is not what it claims is refused or read as what it is, by one reader, and never served inline',
  },
  {
    id: 'UP-13',
    text: 'Infected files are set apart before they are parsed; without its scanner the service takes none',
  },
  { id: 'UP-14', text: 'Files damaged at random end in rows or a refusal: 10,000 by `npm run fuzz`' },
  { id: 'UP-15', text: 'Nothing of a tenant’s is evaluated, and patterns take linear time' },
  {
    id: 'UP-16',
    text: 'A download link is for one object, tenant and caller and ends within 5 minutes; changed anywhere it is refused, and no log has it',
  },
  {
    id: 'GQ-1',
    text: 'What the scanner graphql-cop asks for finds nothing, with a token and without',
  },
  { id: 'GQ-2', text: 'Limits of queries hold at n and n + 1, on sockets too, and are told within 20 ms' },
  {
    id: 'GQ-3',
    text: 'None of 500 generated requests of up to 10 KB costs more than 250 ms of CPU; bytes of answers are counted against the rate',
  },
  { id: 'GQ-4', text: 'Rates count operations, not requests' },
  { id: 'GQ-5', text: 'A page of another site can make nobody do anything' },
  {
    id: 'GQ-6',
    text: 'A fault inside shows a reference and nothing else',
  },
  { id: 'GQ-7', text: 'Sockets are bounded in origin, size, time, number and pace; a breach closes that socket alone' },
  { id: 'OA-1', text: 'Tokens of CRMs are sealed for tenant, connection and field, and found nowhere else' },
  {
    id: 'OA-2',
    text: 'The master key is changed while 1,000 connections renew their tokens, with the change killed on its way: none fails, and the old key is needless',
  },
  {
    id: 'OA-3',
    text: '50 users of one expired token renew it once; 20 kills in mid-renewal end in a connection or a question',
  },
  { id: 'OA-4', text: '12 bad callbacks and more are refused; a state is good once, for 10 minutes, for who began' },
  { id: 'OA-5', text: '60 ways to reach inside and more open no connection' },
  { id: 'OA-6', text: 'No secret is in logs, audit, errors or e-mails' },
  { id: 'AU-1', text: 'Every mutation leaves one entry in its transaction, denied ones too, without values' },
  { id: 'AU-2', text: 'The service’s roles can change and remove no entry' },
  { id: 'AU-3', text: '1,000 of 1,000 random tamperings are found, and a tail that was cut by a head that was kept' },
  {
    id: 'AU-4',
    text: 'Sealing costs at most 5 % of an import and is behind by at most 5 s (p99), also across 50 kills',
  },
  {
    id: 'AU-5',
    text: 'When a person is erased, no value of theirs is left anywhere, and the audit keeps its ids and verifies',
  },
]

/** Which of the tests' files prove each statement, by the ids in titles. Paths from the root, sorted. */
export function provenBy(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>()
  for (const entry of readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || !entry.name.endsWith('.ts') || entry.name === 'statements.ts') {
      continue
    }
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (/^\s*(\*|\/\/|\/\*)/.test(line)) {
        continue
      }
      for (const [, id = ''] of line.matchAll(/\[([A-Z]{2}-\d+)\]/g)) {
        const files = found.get(id) ?? new Set()
        files.add(path.slice(root.length + 1).replaceAll('\\', '/'))
        found.set(id, files)
      }
    }
  }
  return new Map([...found].map(([id, files]) => [id, [...files].toSorted()]))
}

/** Statements that are met: proven by a test, and not called open. */
export function met(statements: readonly Statement[], proven = provenBy()): readonly Statement[] {
  return statements.filter(({ id, open }) => open === undefined && proven.has(id))
}

/** The table of a document. */
export function statementTable(statements: readonly Statement[]): string {
  const proven = provenBy()
  const rows = statements.map(({ id, text, open }) => {
    const files = (proven.get(id) ?? []).map((file) => `\`${file}\``).join(', ')
    const state =
      open === undefined
        ? files === ''
          ? '**Open**: no test shows it.'
          : files
        : `**Open**: ${open}${files === '' ? '' : ` So far: ${files}`}`
    return `| ${id} | ${text}. | ${state} |`
  })
  const all = [...operations, ...security]
  return [
    `${met(statements, proven).length} of these ${statements.length} statements are met, ${met(all, proven).length} of ${all.length} in all. Counted by the ids in the titles of tests and scenarios.`,
    '',
    '| Id | Statement | Shown by |',
    '|---|---|---|',
    ...rows,
  ].join('\n')
}

/** Where the table stands in a document. */
export const tableMarks = ['<!-- statements: written by test/statements.ts -->', '<!-- end of statements -->'] as const

/** The document with the table as it is now. */
export function withTable(document: string, statements: readonly Statement[]): string {
  const [begin, end] = tableMarks
  const [from, to] = [document.indexOf(begin), document.indexOf(end)]
  if (from < 0 || to < from) {
    throw new Error('the document has no place for the table')
  }
  return `${document.slice(0, from + begin.length)}\n\n${statementTable(statements)}\n\n${document.slice(to)}`
}
