/** Imports against COPY: interleaved rounds in one run, because on a shared machine only neighbours can be compared. */
import { type ContactFile, columns, contactFile, type Flaw, refuseFlawed } from './contacts.js'
import { openEngine } from './engine.js'
import { insertMany, rowByRow } from './peers.js'
import type { Cpu } from './processes.js'
import { type Copied, Reference } from './reference.js'
import { keepResult, machine, printTable, type Spread, showSpread, spread } from './report.js'
import { type BenchServer, FOLDER, startServer, withClient } from './server.js'
import { startService } from './service.js'
import { expectImported, type Imported, type Subject } from './subject.js'

export interface ImportBenchOptions {
  readonly rows: number
  /** Rounds; each measures everything once. */
  readonly rounds: number
  /** Rows of the comparison with other writers. */
  readonly peerRows: number
  /** Rows of the imports with flaws. */
  readonly flawRows: number
  /** The engine in this process instead of the whole service. */
  readonly engine: boolean
  readonly only: readonly string[]
}

/** One measurement of one way. */
interface Measured {
  readonly ms: number
  readonly cpu: Cpu
  readonly imported: Imported | null
}

/** All measurements of one way to do it, one per round. */
interface Way {
  readonly name: string
  readonly rows: number
  /** What its ratios are to; null for a yardstick. */
  readonly reference: string | null
  /** What the ratio is to be at most; null where nothing was promised. */
  readonly bar: number | null
  readonly measured: Measured[]
}

const COPY = 'COPY, same table and indexes'

/** Runs all of it, prints the table and keeps the result. */
export async function benchImport(options: ImportBenchOptions): Promise<void> {
  const before = await machine()
  await using server = await startServer()
  const bench = new Bench(server, options)
  await bench.prepare()
  for (let round = 0; round < options.rounds; round++) {
    await bench.round(round)
  }
  await bench.report(before)
}

class Bench {
  readonly #server: BenchServer
  readonly #options: ImportBenchOptions
  readonly #ways = new Map<string, Way>()
  /** References by number of rows. */
  readonly #references = new Map<number, Reference>()

  constructor(server: BenchServer, options: ImportBenchOptions) {
    this.#server = server
    this.#options = options
  }

  #wants(part: string): boolean {
    const { only } = this.#options
    return only.length === 0 || only.includes(part)
  }

  /** Imports each size once, unmeasured: what it stored is what COPY gets. */
  async prepare(): Promise<void> {
    const { rows, peerRows } = this.#options
    for (const count of new Set([
      ...(this.#wants('main') ? [rows] : []),
      ...(this.#wants('peers') ? [peerRows] : []),
    ])) {
      const file = await contactFile(FOLDER, count)
      const subject = await this.#subject(2)
      try {
        expectImported(await subject.import(await subject.tenant(), file), { total: count, created: count })
      } finally {
        await subject.leave()
      }
      this.#references.set(
        count,
        await Reference.take(this.#server, subject.ownerUrl, `${this.#server.folder}/prepared-${count}`),
      )
    }
  }

  #subject(chunksInFlight: number): Promise<Subject> {
    return this.#options.engine
      ? openEngine(this.#server, chunksInFlight)
      : startService(this.#server, { PORTAGE_CHUNKS_IN_FLIGHT: String(chunksInFlight) })
  }

  /** Every way once; every other round the other way round, so that none always follows the same neighbour. */
  async round(number: number): Promise<void> {
    const { rows, peerRows, flawRows } = this.#options
    const steps: (() => Promise<void>)[] = []
    const reference = this.#references.get(rows)
    if (this.#wants('main') && reference !== undefined) {
      const file = await contactFile(FOLDER, rows)
      steps.push(
        () => this.#first('Portage, one chunk in flight', file, 1, 1.7, null),
        async () => this.#note(COPY, rows, null, null, await reference.copy()),
        () => this.#first('Portage, two chunks in flight', file, 2, 1.3, 'Portage again, all unchanged'),
        async () => this.#note('COPY, unlogged text, no index', rows, null, null, await reference.copyUnindexed(file)),
      )
    }
    const small = this.#references.get(peerRows)
    if (this.#wants('peers') && small !== undefined) {
      const file = await contactFile(FOLDER, peerRows)
      const named = (name: string) => `${name}, ${peerRows} rows`
      const against = named(COPY)
      steps.push(
        async () => this.#note(against, peerRows, null, null, await small.copy()),
        async () =>
          this.#note(named('Portage, two in flight'), peerRows, against, null, await this.#fresh(file, 2, {})),
        async () =>
          this.#note(named('MikroORM insertMany, 1000 each'), peerRows, against, null, await insertMany(small, 1000)),
        async () => this.#note(named('INSERT row by row'), peerRows, against, null, await rowByRow(small)),
      )
    }
    if (this.#wants('flaws')) {
      const clean = `Portage, clean, ${flawRows} rows`
      steps.push(
        () => this.#flawed(clean, 'none', null, null),
        () => this.#flawed(`Portage, 1 % invalid, ${flawRows} rows`, 'invalid', clean, 1.2),
        () => this.#flawed(`Portage, 0.1 % constraint hits, ${flawRows} rows`, 'refused', clean, 1.5),
      )
    }
    for (const step of number % 2 === 0 ? steps : steps.toReversed()) {
      await step()
    }
  }

  #note(name: string, rows: number, reference: string | null, bar: number | null, measured: Copied | Imported): void {
    const way = this.#ways.get(name) ?? { name, rows, reference, bar, measured: [] }
    this.#ways.set(name, way)
    const imported = 'runId' in measured ? measured : null
    way.measured.push({ ms: measured.ms, cpu: measured.cpu, imported })
    console.log(`  ${name}: ${(measured.ms / 1000).toFixed(2)} s`)
  }

  /** A first import into an empty database; with `again`, the same file a second time. */
  async #first(
    name: string,
    file: ContactFile,
    chunksInFlight: number,
    bar: number,
    again: string | null,
  ): Promise<void> {
    await using subject = await this.#subject(chunksInFlight)
    const tenant = await subject.tenant()
    await this.#server.settle()
    const imported = await subject.import(tenant, file)
    expectImported(imported, { total: file.rows, created: file.rows })
    this.#note(name, file.rows, COPY, bar, imported)
    if (again !== null) {
      await this.#server.settle()
      const second = await subject.import(tenant, file)
      expectImported(second, { total: file.rows, unchanged: file.rows })
      this.#note(again, file.rows, name, 0.6, second)
    }
  }

  async #fresh(
    file: ContactFile,
    chunksInFlight: number,
    expected: Readonly<Record<string, number>>,
  ): Promise<Imported> {
    await using subject = await this.#subject(chunksInFlight)
    const tenant = await subject.tenant()
    await this.#server.settle()
    const imported = await subject.import(tenant, file)
    expectImported(imported, { total: file.rows, ...expected })
    return imported
  }

  /** An import into a table that has one rule more, which only the database knows. */
  async #flawed(name: string, flaw: Flaw, reference: string | null, bar: number | null): Promise<void> {
    const file = await contactFile(FOLDER, this.#options.flawRows, flaw)
    const failed = flaw === 'none' ? 0 : Math.floor(file.rows / (flaw === 'invalid' ? 100 : 1000))
    await using subject = await this.#subject(2)
    await withClient(subject.ownerUrl, refuseFlawed)
    const tenant = await subject.tenant()
    await this.#server.settle()
    const imported = await subject.import(tenant, file)
    expectImported(imported, { total: file.rows, failed, created: file.rows - failed })
    this.#note(name, file.rows, reference, bar, imported)
  }

  #ratios(way: Way): Spread | null {
    const against = way.reference === null ? undefined : this.#ways.get(way.reference)
    return against === undefined
      ? null
      : spread(way.measured.map(({ ms }, round) => ms / (against.measured[round]?.ms ?? Number.NaN)))
  }

  async report(before: object): Promise<void> {
    const { rows, rounds, engine } = this.#options
    const date = new Date().toISOString()
    console.log(`\n${date}; ${JSON.stringify(before)}`)
    console.log(
      `${rounds} rounds, ${engine ? 'the engine alone' : 'the whole service, from the first byte of the upload to COMPLETED'}; median (range)\n`,
    )
    const table = [['', 'wall s', 'ratio', 'bar', 'rows/s', 'CPU s: backends', 'server besides', 'ours']]
    for (const way of this.#ways.values()) {
      const wall = spread(way.measured.map(({ ms }) => ms / 1000))
      const ratio = this.#ratios(way)
      const cpu = (name: keyof Cpu) => spread(way.measured.map((one) => one.cpu[name])).median.toFixed(1)
      table.push([
        way.name,
        showSpread(wall, 2),
        ratio === null ? '' : showSpread(ratio, 2),
        way.bar === null ? '' : `${way.bar}`,
        (way.rows / wall.median).toFixed(0),
        cpu('backends'),
        cpu('background'),
        cpu('ours'),
      ])
    }
    printTable(table)
    console.log('Ratios are within one round: of Portage to COPY; of the second import to the first; of flaws to none.')
    console.log('"Ours" of COPY and of the other writers is this process, which sends the rows.\n')
    const stages = this.#stageTable()
    if (stages.length > 1) {
      console.log(
        'Where the time goes, in seconds (medians; reading runs beside writing, and two writes beside each other):',
      )
      printTable(stages)
    }
    const indexes = [...this.#references.values()][0]?.indexes ?? []
    console.log(
      `Indexes of the table, and of the one that COPY fills:\n${indexes.map((index) => `  ${index}`).join('\n')}\n`,
    )
    await keepResult(engine ? 'import-engine' : 'import', {
      date,
      machine: before,
      rows,
      rounds,
      columns: columns.length,
      indexes,
      ways: [...this.#ways.values()].map((way) => ({ ...way, ratio: this.#ratios(way) })),
    })
  }

  #stageTable(): string[][] {
    const names = ['upload', 'analyze', 'queued', 'running', 'read', 'write', 'wait']
    const rows = [...this.#ways.values()].flatMap((way) => {
      const runs = way.measured.flatMap(({ imported }) => imported ?? [])
      if (runs.length === 0) {
        return []
      }
      const of = (pick: (run: Imported) => number) => (spread(runs.map(pick)).median / 1000).toFixed(2)
      return [
        [
          way.name,
          ...names.map((name) => of((run) => (name === 'upload' ? (run.uploadMs ?? 0) : (run.stages[name] ?? 0)))),
          spread(runs.map(({ chunks }) => chunks)).median.toFixed(0),
        ],
      ]
    })
    return [['', ...names, 'chunks'], ...rows]
  }
}
