/**
 * `npm run fuzz`: reads damaged files and counts what becomes of them. `--count N` (10,000), `--seed N`, `--format csv`,
 * `--only SEED` for one case again, `--keep DIR` for where failing files go (default `.portage/fuzz`). Ends with 1 where a
 * file was neither read nor refused.
 */
import { randomInt } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { caseOf, fileOf, fuzz, fuzzCases } from './fuzz.js'
import { fuzzFormats } from './samples.js'

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '10000' },
      seed: { type: 'string' },
      format: { type: 'string' },
      only: { type: 'string' },
      keep: { type: 'string', default: join('.portage', 'fuzz') },
    },
  })
  const format = fuzzFormats.find((each) => each === values.format) ?? null
  if (values.format !== undefined && format === null) {
    console.error(`--format is one of ${fuzzFormats.join(', ')}`)
    return 2
  }
  const seed = values.seed === undefined ? randomInt(1, 1_000) : Number(values.seed)
  const started = performance.now()
  const { outcomes, failures, slowest } =
    values.only === undefined
      ? await fuzz({ count: Number(values.count), seed, format, children: 2 })
      : await fuzzCases([caseOf(Number(values.only))], 1)
  for (const [name, counts] of outcomes) {
    console.log(`${name}: ${[...counts].map(([outcome, count]) => `${outcome} ${count}`).join(', ')}`)
  }
  for (const failure of failures) {
    const { name, bytes } = fileOf(failure)
    const path = join(values.keep, `${failure.seed}-${name}`)
    mkdirSync(values.keep, { recursive: true })
    writeFileSync(path, bytes)
    console.log(`\n${failure.outcome}: --only ${failure.seed} (${path})\n${failure.crash}`)
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(
    `seed ${seed}, ${failures.length} failures, ${seconds} s, slowest ${slowest.ms.toFixed(0)} ms (${slowest.seed})`,
  )
  return failures.length > 0 ? 1 : 0
}

process.exitCode = await main()
