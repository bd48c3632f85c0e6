/**
 * The compound file (OLE) around an XLS workbook. Own code, for SheetJS follows a directory that points to itself for ever.
 * Every chain is followed for as many sectors as the file has, and no further.
 */
import { Refusal } from '../../errors.js'
import { compoundKind } from './file-type.js'
import { damaged } from './legacy-workbook-rows.js'

const HEADER_BYTES = 512
const HEADER_FAT_SECTORS = 109
const ENTRY_BYTES = 128
const MINI_SECTOR_BYTES = 64
/** Smaller streams stand in the one of the root, in sectors of MINI_SECTOR_BYTES. */
const MINI_STREAM_BYTES_MAX = 4096
/** Larger numbers of sectors mean something else: the end, or none. */
const SECTOR_MAX = 0xff_ff_ff_fa
const STREAM = 2
const ROOT = 5

interface Entry {
  readonly name: string
  readonly type: number
  readonly start: number
  readonly size: number
}

/** The stream of the workbook. Refuses FILE_UNREADABLE where there is none, and other documents of Office by their names. */
export function workbookStream(file: Buffer): Buffer {
  if (file.length < HEADER_BYTES) {
    throw damaged('it breaks off')
  }
  const shift = file.readUInt16LE(30)
  if (shift !== 9 && shift !== 12) {
    throw damaged('its parts have a size that no such file has')
  }
  const sectorBytes = 1 << shift
  const sector = (number: number): Buffer => file.subarray((number + 1) * sectorBytes, (number + 2) * sectorBytes)
  const most = Math.ceil(file.length / sectorBytes)
  const fat = tableOf(fatSectors(file, sector, most).map(sector))
  const bytesFrom = (start: number): Buffer => Buffer.concat(chain(fat, start, most).map(sector))

  const entries = entriesOf(bytesFrom(file.readUInt32LE(48)))
  const streams = entries.filter(({ type }) => type === STREAM)
  const kind = compoundKind(streams.map(({ name }) => name))
  if (kind.kind === 'refused') {
    throw new Refusal(kind.code, kind.message)
  }
  const found =
    streams.find(({ name }) => name === 'Workbook') ?? streams.find(({ name }) => /^(?:work)?book$/i.test(name))
  if (found === undefined) {
    throw new Refusal(
      'FILE_UNREADABLE',
      'The file is an old Office document without a workbook in it, or a damaged one. Open it in Excel and save it as XLSX.',
    )
  }
  if (found.size >= MINI_STREAM_BYTES_MAX) {
    return bytesFrom(found.start).subarray(0, found.size)
  }
  const root = entries.find(({ type }) => type === ROOT)
  const small = bytesFrom(root?.start ?? SECTOR_MAX)
  const smallFat = tableOf([bytesFrom(file.readUInt32LE(60))])
  const parts = chain(smallFat, found.start, Math.ceil(small.length / MINI_SECTOR_BYTES)).map((number) =>
    small.subarray(number * MINI_SECTOR_BYTES, (number + 1) * MINI_SECTOR_BYTES),
  )
  return Buffer.concat(parts).subarray(0, found.size)
}

/** Numbers of the sectors that tell which sector follows which: the first in the header, more in a chain of their own. */
function fatSectors(file: Buffer, sector: (number: number) => Buffer, most: number): number[] {
  const sectors: number[] = []
  for (let index = 0; index < HEADER_FAT_SECTORS; index += 1) {
    sectors.push(file.readUInt32LE(76 + index * 4))
  }
  let next = file.readUInt32LE(68)
  for (let steps = 0; next < SECTOR_MAX && steps < most; steps += 1) {
    const numbers = tableOf([sector(next)])
    sectors.push(...numbers.slice(0, -1))
    next = numbers.at(-1) ?? SECTOR_MAX
  }
  return sectors.filter((number) => number < most).slice(0, most)
}

function tableOf(parts: readonly Buffer[]): number[] {
  const numbers: number[] = []
  for (const part of parts) {
    for (let at = 0; at + 4 <= part.length; at += 4) {
      numbers.push(part.readUInt32LE(at))
    }
  }
  return numbers
}

/** The sectors from `start` on. What a file that breaks off does not have is left out. */
function chain(next: readonly number[], start: number, most: number): number[] {
  const numbers: number[] = []
  for (let at = start; at < SECTOR_MAX; at = next[at] ?? SECTOR_MAX) {
    if (numbers.length >= most) {
      throw damaged('a part of it leads back to itself')
    }
    if (at >= most) {
      break
    }
    numbers.push(at)
  }
  return numbers
}

function entriesOf(directory: Buffer): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at + ENTRY_BYTES <= directory.length; at += ENTRY_BYTES) {
    const nameBytes = Math.min(64, directory.readUInt16LE(at + 64))
    entries.push({
      name: directory.toString('utf16le', at, at + Math.max(0, nameBytes - 2)),
      type: directory[at + 66] ?? 0,
      start: directory.readUInt32LE(at + 116),
      size: directory.readUInt32LE(at + 120),
    })
  }
  return entries
}
