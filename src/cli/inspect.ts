/** `portage inspect`: what a file is and how it would be read, without a server; with `--rows` all that is in it. */
import { basename } from 'node:path'
import { rowsOf, withAllColumns } from '../adapters/files/convert.js'
import type { Detection } from '../adapters/files/detection.js'
import { type InspectRequest, inspectFile } from '../adapters/files/inspect.js'
import { localBytes } from '../adapters/files/local-bytes.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import type { SourceOptions } from '../pipeline/types.js'
import { only, parse, sizeOf, whole } from './arguments.js'
import type { Io } from './io.js'

/** Options that say how a file is read: of `inspect`, and of `import`. */
export const readingOptions = {
  sheet: { type: 'string' },
  encoding: { type: 'string' },
  delimiter: { type: 'string' },
  quote: { type: 'string' },
  'header-row': { type: 'string' },
  'json-path': { type: 'string' },
} as const

/** Values of `readingOptions` as typed. */
export type ReadingValues = { readonly [Name in keyof typeof readingOptions]?: string | undefined }

/** What the options say about the file; only what was typed. `\t` and `tab` stand for a tab. */
export function readingSaid(values: ReadingValues): Partial<SourceOptions> {
  const { sheet, encoding, delimiter, quote } = values
  return {
    ...(sheet === undefined ? {} : { sheet }),
    ...(encoding === undefined ? {} : { encoding }),
    ...(delimiter === undefined ? {} : { delimiter: /^(?:\\t|tab)$/i.test(delimiter) ? '\t' : delimiter }),
    ...(quote === undefined ? {} : { quote }),
    ...(values['header-row'] === undefined ? {} : { headerRow: whole('--header-row', values['header-row'], 0, 1e9) }),
    ...(values['json-path'] === undefined ? {} : { jsonPath: values['json-path'] }),
  }
}

/** Runs the command; answers its exit code. Throws `Refusal` for a file that cannot be read. */
export async function inspect(args: readonly string[], _connect: unknown, io: Io): Promise<number> {
  const { values, positionals } = parse(args, {
    ...readingOptions,
    rows: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  })
  const path = only(positionals, 'FILE')
  const byteSize = await sizeOf(path)
  const overrides: SourceOptions = { ...noSourceOptions, ...readingSaid(values) }
  const request: InspectRequest = { name: basename(path), byteSize, overrides }
  const open = localBytes(path)
  const found = await inspectFile(open, request, io.signal)
  if (!values.rows) {
    io.out(JSON.stringify(found, null, 2))
    return 0
  }
  // The header comes first, and names it that the last row brings.
  const detection = await withAllColumns(open, { ...request, detection: found }, io.signal)
  await io.write(`${JSON.stringify({ row: detection.headerRow, header: namesOf(detection) })}\n`)
  let text = ''
  for await (const rows of rowsOf(open, { ...request, detection }, io.signal)) {
    for (const { number, cells, fault } of rows) {
      text +=
        fault === null
          ? `{"row":${number},"cells":${JSON.stringify(cells)}}\n`
          : `${JSON.stringify({ row: number, error: { code: fault.code, message: fault.message }, cells })}\n`
    }
    if (text.length > WRITE_LENGTH) {
      await io.write(text)
      text = ''
    }
  }
  await io.write(text)
  return 0
}

/** Rows are written together until there are so many UTF-16 code units of them. */
const WRITE_LENGTH = 64 * 1024

function namesOf(detection: Detection): string[] {
  return detection.columns.map((column) => column.name)
}
