/**
 * `npm run bench -- WHAT [options]`: measures against named references and prints tables; results are kept in
 * bench/results. Nothing else should run on the machine meanwhile.
 */
import { parseArgs } from 'node:util'
import { flaws } from './contacts.js'

const help = `npm run bench -- import [--rows N] [--pairs K] [--quick]   imports against COPY
npm run bench -- formats [--rows N] [--only xlsx ...]      reading each format against libraries
npm run bench -- export [--rows N] [--pairs K] [--only XLSX ...]  exports against COPY and exceljs
npm run bench -- memory [--only ndjson|xlsx] [--quick]     memory for files of 10 MB, 100 MB and 1 GB
npm run bench -- mapping [--half tuning|unseen|more|later] the mapping suggestion against labelled columns
npm run bench -- plan [--rows N]                            plans beside the imports that they are about
npm run bench -- migration [--only salesforce ...] [--rows N] whole companies moving in from simulators, N contacts each
npm run bench -- hostile                                   a neighbour's answers while a hostile file is looked at
npm run bench -- subscribers [--quick]                     1,000 subscribers of 50 tenants
npm run bench -- duplicates [--rows N] [--quick] [--fit]    possible duplicates: how well they are found, and the cost
npm run bench -- console [--rows N] [--quick]                the console in Chromium, and a run of N rows that it follows
npm run bench -- profile [--rows N] [--in-flight 1|2]      where the time goes, by the engine alone`

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rows: { type: 'string' },
    pairs: { type: 'string' },
    'in-flight': { type: 'string' },
    set: { type: 'string', multiple: true },
    flaw: { type: 'string', default: 'none' },
    'keep-log': { type: 'string' },
    quick: { type: 'boolean', default: false },
    fit: { type: 'boolean', default: false },
    engine: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    half: { type: 'string' },
  },
})

const number = (text: string | undefined, fallback: number): number => {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new Error(`"${text}" is not a whole number above 0`)
  }
  return value
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => process.exit(130))
}

switch (positionals[0]) {
  case 'import': {
    const { benchImport } = await import('./import.js')
    await benchImport({
      rows: number(values.rows, values.quick ? 100_000 : 1_000_000),
      rounds: number(values.pairs, values.quick ? 3 : 7),
      peerRows: 50_000,
      flawRows: values.quick ? 50_000 : 200_000,
      engine: values.engine,
      only: values.only ?? [],
    })
    break
  }
  case 'workers': {
    const { benchWorkers } = await import('./workers.js')
    await benchWorkers({ rows: number(values.rows, 50_000), rounds: number(values.pairs, values.quick ? 1 : 3) })
    break
  }
  case 'formats': {
    const { benchFormats } = await import('./formats.js')
    await benchFormats({
      rows: number(values.rows, values.quick ? 20_000 : 200_000),
      rounds: number(values.pairs, values.quick ? 1 : 5),
      only: values.only ?? [],
    })
    break
  }
  case 'export': {
    const { benchExport } = await import('./export.js')
    await benchExport({
      rows: number(values.rows, values.quick ? 100_000 : 1_000_000),
      rounds: number(values.pairs, values.quick ? 3 : 5),
      only: values.only ?? [],
    })
    break
  }
  case 'memory': {
    const { benchMemory, memorySizes } = await import('./memory.js')
    for (const format of ['csv', 'ndjson', 'xlsx'] as const) {
      if (values.only === undefined ? format === 'csv' : values.only.includes(format)) {
        await benchMemory(format, memorySizes[format][values.quick ? 'quick' : 'full'])
      }
    }
    break
  }
  case 'mapping': {
    const { benchMapping } = await import('./mapping.js')
    const { halves } = await import('../test/mapping-set/set.js')
    const half = halves.find((each) => each === values.half) ?? null
    if (values.half !== undefined && half === null) {
      throw new Error(`"${values.half}" is no half: ${halves.join(', ')}`)
    }
    await benchMapping({ half })
    break
  }
  case 'plan': {
    const { benchPlan } = await import('./plan.js')
    await benchPlan(number(values.rows, values.quick ? 100_000 : 1_000_000))
    break
  }
  case 'migration': {
    const { benchMigration, systems } = await import('./migration.js')
    await benchMigration({
      contacts: number(values.rows, values.quick ? 20_000 : 200_000),
      only: systems.filter((system) => values.only === undefined || values.only.includes(system)),
    })
    break
  }
  case 'hostile': {
    const { benchHostile } = await import('./hostile.js')
    await benchHostile()
    break
  }
  case 'subscribers': {
    const { benchSubscribers } = await import('./subscribers.js')
    const size = values.quick
      ? { tenants: 10, subscribers: 100, importing: 3 }
      : { tenants: 50, subscribers: 1000, importing: 8 }
    await benchSubscribers({ ...size, rows: number(values.rows, 20_000) })
    break
  }
  case 'console': {
    const { benchConsole } = await import('./console.js')
    await benchConsole({ rows: number(values.rows, values.quick ? 50_000 : 1_000_000), rounds: values.quick ? 2 : 7 })
    break
  }
  case 'duplicates': {
    const { benchDuplicates } = await import('./duplicates.js')
    const rows = number(values.rows, values.quick ? 10_000 : 100_000)
    await benchDuplicates({ rows, base: rows * 10, fit: values.fit })
    break
  }
  case 'profile': {
    const { profile } = await import('./profile.js')
    const settings = Object.fromEntries(
      (values.set ?? []).map((text) => text.split(/=(.*)/s).slice(0, 2) as [string, string]),
    )
    await profile({
      rows: number(values.rows, 100_000),
      flaw: flaws.find((flaw) => flaw === values.flaw) ?? 'none',
      chunksInFlight: number(values['in-flight'], 1),
      settings,
      keepLog: values['keep-log'] ?? null,
    })
    break
  }
  default:
    console.log(help)
    process.exitCode = 1
}
