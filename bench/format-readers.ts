/**
 * Reads one file in one way and prints what it cost, as JSON: a process of its own for every measurement, so that memory is
 * that of this reader and what it loads alone. Every reader gives each row its cells as texts; the limits (`raw`) do less and say so.
 */
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { convertedLines, rowsOf } from '../src/adapters/files/convert.js'
import { bytesOf, gunzip } from '../src/adapters/files/gzip.js'
import { inspectFile, inspectHere } from '../src/adapters/files/inspect.js'
import { localBytes } from '../src/adapters/files/local-bytes.js'
import { noSourceOptions } from '../src/adapters/files/sniff.js'
import { openZip } from '../src/adapters/files/zip.js'

/** Rows and cells that were seen; a limit counts bytes instead. */
interface Seen {
  rows: number
  cells: number
}

type Reader = (path: string, seen: Seen) => Promise<void>

const never = new AbortController().signal

const readers: Readonly<Record<string, Reader>> = {
  /** As the service reads it: detection included, the sandbox where it uses it. */
  async portage(path, seen) {
    const open = localBytes(path)
    const request = { name: path, byteSize: (await stat(path)).size, overrides: noSourceOptions }
    const detection = await inspectFile(open, request)
    for await (const rows of rowsOf(open, { ...request, detection }, never)) {
      for (const row of rows) {
        seen.rows += 1
        seen.cells += row.cells.length
      }
    }
  },
  /** What the sandbox does, in this process: detection, parsing and the lines of the row file. */
  async 'portage without sandbox'(path, seen) {
    const open = localBytes(path)
    const request = { name: path, byteSize: (await stat(path)).size, overrides: noSourceOptions }
    const detection = await inspectHere(open, request)
    const lines = convertedLines(open, detection, request, never)
    for (;;) {
      const { done, value } = await lines.next()
      if (done === true) {
        seen.rows = value.rows
        seen.cells = value.rows * value.columns.length
        return
      }
    }
  },
  async 'csv-parse'(path, seen) {
    const { parse } = await import('csv-parse')
    await pipeline(createReadStream(path), parse({ bom: true }), async (rows: AsyncIterable<string[]>) => {
      for await (const row of rows) {
        seen.rows += 1
        seen.cells += row.length
      }
    })
  },
  async 'read and decode'(path, seen) {
    const decoder = new TextDecoder()
    for await (const block of createReadStream(path, { highWaterMark: 256 * 1024 })) {
      seen.cells += decoder.decode(block as Buffer, { stream: true }).length
    }
  },
  async 'gunzip and csv-parse'(path, seen) {
    const { parse } = await import('csv-parse')
    await pipeline(
      createReadStream(path),
      createGunzip(),
      parse({ bom: true }),
      async (rows: AsyncIterable<string[]>) => {
        for await (const row of rows) {
          seen.rows += 1
          seen.cells += row.length
        }
      },
    )
  },
  async 'inflate only'(path, seen) {
    await using bytes = await localBytes(path)()
    if (path.endsWith('.gz')) {
      for await (const block of gunzip(bytes)) {
        seen.cells += block.length
      }
      return
    }
    const zip = await openZip(bytes)
    for (const entry of zip.entries) {
      for await (const block of zip.read(entry)) {
        seen.cells += block.length
      }
    }
  },
  async 'read only'(path, seen) {
    await using bytes = await localBytes(path)()
    for await (const block of bytesOf(bytes)) {
      seen.cells += block.length
    }
  },
  async 'exceljs stream'(path, seen) {
    const { default: exceljs } = await import('exceljs')
    const book = new exceljs.stream.xlsx.WorkbookReader(path, {
      sharedStrings: 'cache',
      styles: 'cache',
      worksheets: 'emit',
      hyperlinks: 'ignore',
      entries: 'emit',
    })
    for await (const sheet of book) {
      for await (const row of sheet) {
        seen.rows += 1
        row.eachCell((cell) => {
          seen.cells += cell.text === '' ? 0 : 1
        })
      }
    }
  },
  async SheetJS(path, seen) {
    const xlsx = await import('xlsx')
    const book = xlsx.read(await readFile(path), { dense: true, WTF: true })
    const sheet = book.Sheets[book.SheetNames[0] ?? '']
    if (sheet === undefined) {
      throw new Error('SheetJS gave no sheet')
    }
    for (const row of xlsx.utils.sheet_to_json<string[]>(sheet, { header: 1, raw: false })) {
      seen.rows += 1
      seen.cells += row.length
    }
  },
  async 'stream-json'(path, seen) {
    const { default: chain } = await import('stream-chain')
    const { parser } = await import('stream-json')
    const { streamArray } = await import('stream-json/streamers/stream-array.js')
    for await (const { value } of chain([createReadStream(path), parser(), streamArray()]) as AsyncIterable<{
      readonly value: object
    }>) {
      seen.rows += 1
      seen.cells += Object.keys(value).length
    }
  },
  async 'readline and JSON.parse'(path, seen) {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      seen.rows += 1
      seen.cells += Object.keys(JSON.parse(line) as object).length
    }
  },
  async 'JSON.parse of all'(path, seen) {
    for (const record of JSON.parse(await readFile(path, 'utf8')) as object[]) {
      seen.rows += 1
      seen.cells += Object.keys(record).length
    }
  },
}

const [name = '', path = ''] = process.argv.slice(2)
const reader = readers[name]
if (reader === undefined) {
  throw new Error(`there is no reader "${name}"`)
}
const seen: Seen = { rows: 0, cells: 0 }
const started = performance.now()
await reader(path, seen)
process.send?.({
  ...seen,
  ms: performance.now() - started,
})
process.disconnect()
