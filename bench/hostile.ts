/** How long other tenants wait for an answer while the API looks at a hostile file: the query `viewer`, one after the other. */
import { createWriteStream } from 'node:fs'
import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Api } from '../src/cli/api.js'
import { hostileFiles, openPieces } from '../test/hostile/files.js'
import { keepResult, machine, printTable, quantile } from './report.js'
import { FOLDER, startServer } from './server.js'
import { startService } from './service.js'

/** Those that take longest in the table of docs/SECURITY.md, two in the sandbox and two in the process itself. */
const WHICH = [
  'ZIP of one file, 1:1000',
  'CSV in Shift_JIS with a cell of 100 MB',
  'CSV, a quote and 200 MB of lines',
  'JSON with a text of 100 MB',
]

/** So many answers are the measure of a quiet service. */
const IDLE_ANSWERS = 2000

/** Each file is uploaded so often. */
const ROUNDS = 5

const uploadMutation =
  'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { code } } }'

/** Milliseconds of each answer, until `done`. */
async function latencies(api: Api, done: () => boolean): Promise<number[]> {
  const times: number[] = []
  while (!done()) {
    const started = performance.now()
    await api.run('{ viewer { actor } }', {})
    times.push(performance.now() - started)
  }
  return times
}

/** Measures a neighbour's answers while nothing happens and while each file is uploaded and looked at. */
export async function benchHostile(): Promise<void> {
  const before = await machine()
  const date = new Date().toISOString()
  await using server = await startServer()
  await using service = await startService(server, {})
  const attacker = await service.api(await service.tenant())
  const neighbour = await service.api(await service.tenant())
  await latencies(neighbour, countdown(200))
  const measured = [
    { what: 'nothing', times: await latencies(neighbour, countdown(IDLE_ANSWERS)), seconds: 0, ends: '' },
  ]
  await mkdir(FOLDER, { recursive: true })
  for (const file of hostileFiles.filter(({ title }) => WHICH.includes(title))) {
    const path = join(FOLDER, 'hostile')
    await using reader = await openPieces(file.make()).open()
    const bytes = async function* () {
      const block = Buffer.alloc(1 << 20)
      for (let at = 0; at < reader.byteSize; ) {
        const read = await reader.read(block, 0, block.length, at)
        at += read
        yield Buffer.from(block.subarray(0, read))
      }
    }
    await pipeline(Readable.from(bytes()), createWriteStream(path))
    const { size } = await stat(path)
    const times: number[] = []
    let seconds = 0
    const ends = new Set<string>()
    for (let round = 0; round < ROUNDS; round += 1) {
      let over = false
      const started = performance.now()
      const upload = attacker
        .upload<{ fileUpload: { userErrors: readonly { code: string }[] } }>(
          uploadMutation,
          {},
          { path, name: file.name, byteSize: size, onProgress: () => undefined },
        )
        .finally(() => {
          over = true
        })
      times.push(...(await latencies(neighbour, () => over)))
      ends.add((await upload).fileUpload.userErrors[0]?.code ?? 'taken')
      seconds += (performance.now() - started) / 1000
    }
    await rm(path)
    measured.push({ what: file.title, times, seconds: seconds / ROUNDS, ends: [...ends].join(', ') })
  }
  const rows = measured.map(({ what, times, seconds, ends }) => {
    const sorted = times.toSorted((a, b) => a - b)
    const [median, p95, longest] = [0.5, 0.95, 1].map((fraction) => quantile(sorted, fraction))
    return { what, ends, seconds, answers: sorted.length, median, p95, longest }
  })
  printTable([
    ['While the API takes in', 'Ends as', 'Seconds', 'Answers', 'Median ms', 'p95 ms', 'Longest ms'],
    ...rows.map(({ what, ends, seconds, answers, median, p95, longest }) => [
      what,
      ends,
      seconds.toFixed(2),
      String(answers),
      ...[median, p95, longest].map((ms) => (ms ?? 0).toFixed(1)),
    ]),
  ])
  await keepResult('hostile', { date, machine: before, rows })
}

function countdown(count: number): () => boolean {
  let left = count
  return () => left-- <= 0
}
