/** The small parts of a workbook: which sheets there are, where they stand, and the number formats of cells. */
import { Refusal } from '../../../errors.js'
import { WORKBOOK_PART_BYTES_MAX, WORKBOOK_SHEETS_MAX } from '../../../limits.js'
import type { Zip, ZipEntry } from '../zip.js'
import { CLOSE, decodeXml, NEED_MORE, OPEN, XmlScanner } from './xml.js'

/** The parts of a workbook by name. */
export class Package {
  readonly zip: Zip
  readonly #byName: ReadonlyMap<string, ZipEntry>

  constructor(zip: Zip) {
    this.zip = zip
    this.#byName = new Map(zip.entries.map((entry) => [entry.name.toLowerCase(), entry]))
  }

  /** Names of parts do not differ by case. */
  find(name: string): ZipEntry | undefined {
    return this.#byName.get(name.toLowerCase())
  }
}

interface Relationship {
  readonly id: string
  /** The last word of its type, which transitional and strict workbooks have in common: `worksheet`. */
  readonly kind: string
  /** Name of the part. */
  readonly target: string
}

/** A sheet as the workbook lists it. */
export interface ListedSheet {
  readonly name: string
  readonly hidden: boolean
  readonly part: ZipEntry
}

/** What is known of a workbook before a sheet is read. */
export interface Contents {
  readonly sheets: readonly ListedSheet[]
  readonly date1904: boolean
  readonly sharedStrings: ZipEntry | null
  /** Number format of each cell style, as a code or as the number of a built-in one. */
  readonly formats: readonly (string | number)[]
}

/** Throws `Refusal` FILE_UNREADABLE where this is no workbook in XML, LIMIT_EXCEEDED above WORKBOOK_SHEETS_MAX. */
export async function readContents(parts: Package): Promise<Contents> {
  const main =
    (await relationships(parts, '')).find(({ kind }) => kind === 'officeDocument')?.target ?? 'xl/workbook.xml'
  const workbook = parts.find(main)
  if (workbook === undefined || main.toLowerCase().endsWith('.bin')) {
    throw new Refusal('FILE_UNREADABLE', 'This is no XLSX workbook, or it is damaged: its list of sheets is missing.')
  }
  const related = await relationships(parts, workbook.name)
  const byId = new Map(related.map((each) => [each.id, each]))
  const sheets: ListedSheet[] = []
  let date1904 = false
  let isWorkbook = false
  let lost: string | null = null
  await eachOpen(parts.zip, workbook, (scanner) => {
    isWorkbook ||= scanner.name === 'workbook'
    if (scanner.name === 'workbookPr') {
      date1904 = isTrue(scanner.attribute('date1904'))
    } else if (scanner.name === 'sheet') {
      const id = relationshipId(scanner)
      const relationship = id === null ? undefined : byId.get(id)
      const name = scanner.attribute('name') ?? `Sheet${sheets.length + 1}`
      if (relationship !== undefined && relationship.kind !== 'worksheet') {
        // A chart, a dialog or macros of old.
        return
      }
      const part = relationship === undefined ? undefined : parts.find(relationship.target)
      if (part === undefined) {
        lost ??= name
        return
      }
      if (sheets.length >= WORKBOOK_SHEETS_MAX) {
        throw new Refusal('LIMIT_EXCEEDED', `The workbook has more than ${WORKBOOK_SHEETS_MAX} sheets.`)
      }
      const state = scanner.attribute('state')
      sheets.push({ name, hidden: state === 'hidden' || state === 'veryHidden', part })
    }
  })
  if (!isWorkbook) {
    throw new Refusal('FILE_UNREADABLE', 'This is no XLSX workbook, or it is damaged: its list of sheets is missing.')
  }
  if (lost !== null) {
    const name = String(lost).slice(0, 100)
    throw new Refusal('FILE_UNREADABLE', `The workbook is damaged: its sheet "${name}" is missing. Save it again.`)
  }
  const partOf = (kind: string): ZipEntry | null => {
    const target = related.find((each) => each.kind === kind)?.target
    return (target === undefined ? undefined : parts.find(target)) ?? null
  }
  const styles = partOf('styles')
  return {
    sheets,
    date1904,
    sharedStrings: partOf('sharedStrings'),
    formats: styles === null ? [] : await readFormats(parts.zip, styles),
  }
}

async function readFormats(zip: Zip, styles: ZipEntry): Promise<(string | number)[]> {
  const codes = new Map<number, string>()
  const ids: number[] = []
  let inCellFormats = false
  await eachOpen(
    zip,
    styles,
    (scanner) => {
      if (scanner.name === 'numFmt') {
        const id = Number(scanner.attribute('numFmtId') ?? Number.NaN)
        const code = scanner.attribute('formatCode')
        if (Number.isInteger(id) && code !== null && !codes.has(id)) {
          codes.set(id, code)
        }
      } else if (scanner.name === 'cellXfs') {
        inCellFormats = !scanner.empty
      } else if (scanner.name === 'xf' && inCellFormats) {
        ids.push(Number(scanner.attribute('numFmtId') ?? 0) || 0)
      }
    },
    (name) => {
      if (name === 'cellXfs') {
        inCellFormats = false
      }
    },
  )
  return ids.map((id) => codes.get(id) ?? id)
}

async function relationships(parts: Package, of: string): Promise<Relationship[]> {
  const slash = of.lastIndexOf('/') + 1
  const folder = of.slice(0, slash)
  const entry = parts.find(`${folder}_rels/${of.slice(slash)}.rels`)
  const found: Relationship[] = []
  if (entry !== undefined) {
    await eachOpen(parts.zip, entry, (scanner) => {
      const target = scanner.attribute('Target')
      if (scanner.name === 'Relationship' && target !== null && scanner.attribute('TargetMode') !== 'External') {
        const type = scanner.attribute('Type') ?? ''
        const kind = type.slice(type.lastIndexOf('/') + 1)
        found.push({ id: scanner.attribute('Id') ?? '', kind, target: resolve(folder, target) })
      }
    })
  }
  return found
}

/** Name of the part that `target` means, seen from `folder`. `..` never leads out of the archive: names are looked up in it. */
function resolve(folder: string, target: string): string {
  const path = target.replaceAll('\\', '/')
  const segments: string[] = []
  for (const segment of (path.startsWith('/') ? path : folder + path).split('/')) {
    if (segment === '..') {
      segments.pop()
    } else if (segment !== '' && segment !== '.') {
      segments.push(segment)
    }
  }
  const name = segments.join('/')
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** `r:id`, whatever its prefix; a plain `id` counts as well. Never `sheetId`. */
function relationshipId(scanner: XmlScanner): string | null {
  return scanner.attribute('id')
}

/** Texts that XML schemas take for true. */
export function isTrue(text: string | null): boolean {
  return text === '1' || text === 'true' || text === 'on'
}

/** Calls back for every tag that opens in a part, and by name for those that close. */
async function eachOpen(
  zip: Zip,
  entry: ZipEntry,
  open: (scanner: XmlScanner) => void,
  close?: (name: string) => void,
): Promise<void> {
  const scanner = new XmlScanner()
  for await (const block of decodeXml(zip.read(entry, undefined, WORKBOOK_PART_BYTES_MAX))) {
    scanner.push(block)
    for (let token = scanner.next(); token !== NEED_MORE; token = scanner.next()) {
      if (token === OPEN) {
        open(scanner)
      } else if (token === CLOSE) {
        close?.(scanner.name)
      }
    }
  }
}
