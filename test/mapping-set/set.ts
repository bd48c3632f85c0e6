/** The labelled columns, see README.md. Of `unseen` nobody prints more than sums. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

/** Among the sources: this file runs compiled, in dist. */
const FOLDER = join(import.meta.dirname, '..', '..', '..', 'test', 'mapping-set')

/** Parts of the set: a half to tune the suggestion with, one that is never looked at meanwhile, and two sets of layouts written later. */
export const halves = ['tuning', 'unseen', 'more', 'later'] as const

/** Which part of the set a layout is in. */
export type Half = (typeof halves)[number]

const answer = z.string().nullable()

const layout = z.strictObject({
  id: z.string(),
  /** What makes files like this one, e.g. `Salesforce report`. */
  source: z.string(),
  /** ISO 639-1 code of headers and values. */
  language: z.string(),
  recordType: z.enum(['contact', 'lead', 'property', 'activity']),
  columns: z.array(z.strictObject({ header: z.string(), expected: z.union([answer, z.array(answer).min(2)]) })),
  rows: z.array(z.array(z.string())),
})

/** A column with every answer that is right; null among them means that it may stay without a field. */
export interface LabelledColumn {
  readonly header: string
  readonly accepted: readonly (string | null)[]
}

/** One file: a header row, its labels and sample rows. */
export interface Layout extends Omit<z.infer<typeof layout>, 'columns'> {
  readonly half: Half
  readonly columns: readonly LabelledColumn[]
}

/** The layouts of one part, by name. Throws for a file that is not as README.md says. */
export function layoutsOf(half: Half): readonly Layout[] {
  return readdirSync(join(FOLDER, half))
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => {
      const { columns, ...rest } = layout.parse(JSON.parse(readFileSync(join(FOLDER, half, name), 'utf8')))
      return {
        ...rest,
        half,
        columns: columns.map(({ header, expected }) => ({
          header,
          accepted: Array.isArray(expected) ? expected : [expected],
        })),
      }
    })
}

/** The layout as a file: RFC 4180 with LF, every cell in quotes. */
export function csvOf({ columns, rows }: Layout): string {
  const line = (cells: readonly string[]): string => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',')
  return `${[columns.map(({ header }) => header), ...rows].map(line).join('\n')}\n`
}
