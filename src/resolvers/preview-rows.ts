/**
 * The first rows of files, kept in memory for a while: an editor asks for them with every key that is pressed, and opening a
 * workbook takes far longer than mapping twenty rows of it.
 */
import { rowsOf } from '../adapters/files/convert.js'
import type { Detection } from '../adapters/files/detection.js'
import { noSourceOptions } from '../adapters/files/sniff.js'
import type { Row } from '../adapters/source.js'
import type { SourceFile } from '../db/entities.js'
import {
  PREVIEW_CACHE_BYTES_MAX,
  PREVIEW_CACHE_MS_MAX,
  PREVIEW_LOOKED_BYTES_MAX,
  PREVIEW_LOOKED_ROWS_MAX,
  PREVIEW_ROWS_MAX,
} from '../limits.js'
import { EvidenceCollector } from '../pipeline/evidence.js'
import { detached } from '../pipeline/text.js'
import type { ColumnEvidence, SourceOptions } from '../pipeline/types.js'
import type { Services } from './context.js'
import { over } from './inputs.js'
import { detect } from './uploads.js'

/** The beginning of a file, as an import would read it. Never changed. */
export interface FileHead {
  readonly detection: Detection
  /** At most PREVIEW_ROWS_MAX. */
  readonly rows: readonly Row[]
  /** What the beginning says about the columns; an import looks at all of the file. */
  readonly evidence: readonly ColumnEvidence[]
}

/** What decides how the bytes become rows; the rest of the options is about values. */
const reading = ['format', 'encoding', 'delimiter', 'quote', 'headerRow', 'sheet', 'jsonPath'] as const

interface Kept {
  readonly head: Promise<FileHead>
  /** What it may take, until it is known what it takes. */
  bytes: number
}

/** What a cache holds at most; for tests others than those of limits.ts. */
export interface HeadCacheLimits {
  readonly bytesMax: number
  readonly msMax: number
  /** What is counted for a head while it is being read. */
  readonly loadingBytes: number
}

/** Heads that one process keeps. Whoever asks has found the file in the tenant first: what is kept is no permission. */
export class HeadCache {
  readonly #kept = new Map<string, Kept>()
  readonly #limits: HeadCacheLimits
  #bytes = 0

  constructor(limits: Partial<HeadCacheLimits> = {}) {
    this.#limits = {
      bytesMax: PREVIEW_CACHE_BYTES_MAX,
      msMax: PREVIEW_CACHE_MS_MAX,
      loadingBytes: PREVIEW_LOOKED_BYTES_MAX,
      ...limits,
    }
  }

  /** Estimated bytes of what is kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** The head under `key`; where none is kept, the one that `load` reads. One that could not be read is not kept. */
  get(key: string, load: () => Promise<FileHead>): Promise<FileHead> {
    const found = this.#kept.get(key)
    if (found !== undefined) {
      // The last one asked for is the last one to go.
      this.#kept.delete(key)
      this.#kept.set(key, found)
      return found.head
    }
    const kept: Kept = { head: load(), bytes: this.#limits.loadingBytes }
    this.#kept.set(key, kept)
    this.#bytes += kept.bytes
    setTimeout(() => this.#forget(key, kept), this.#limits.msMax).unref()
    kept.head.then(
      (head) => {
        const bytes = sizeOf(head)
        this.#bytes += this.#kept.get(key) === kept ? bytes - kept.bytes : 0
        kept.bytes = bytes
        this.#makeRoom(key)
      },
      () => this.#forget(key, kept),
    )
    this.#makeRoom(key)
    return kept.head
  }

  #makeRoom(newest: string): void {
    for (const [key, kept] of this.#kept) {
      if (this.#bytes <= this.#limits.bytesMax) {
        return
      }
      if (key !== newest) {
        this.#forget(key, kept)
      }
    }
  }

  #forget(key: string, kept: Kept): void {
    if (this.#kept.get(key) === kept) {
      this.#kept.delete(key)
      this.#bytes -= kept.bytes
    }
  }
}

const caches = new WeakMap<Services, HeadCache>()

/**
 * The beginning of a file of the tenant, read with `said` over what was said when it was uploaded. Refuses what cannot be
 * read, as an upload does.
 */
export function fileHead(services: Services, file: SourceFile, said: SourceOptions | null): Promise<FileHead> {
  let cache = caches.get(services)
  if (cache === undefined) {
    cache = new HeadCache()
    caches.set(services, cache)
  }
  const asUploaded = reading.every((name) => said?.[name] == null)
  const overrides = over(file.sourceOptions as SourceOptions | null, said)
  const key = JSON.stringify([file.tenantId, file.id, asUploaded ? null : reading.map((name) => overrides[name])])
  return cache.get(key, async () => {
    const { files } = services
    const detection = asUploaded
      ? ({ ...noSheets, ...(file.detection as Detection) } as Detection)
      : await detect(files, { key: file.storageKey, byteSize: file.byteSize }, file.name, overrides)
    return readHead(services, file, overrides, detection)
  })
}

/** Files that were looked at before there were other formats say nothing of sheets and paths. */
const noSheets = { sheets: [], sheet: null, jsonPath: null }

async function readHead(
  { files }: Services,
  file: SourceFile,
  overrides: SourceOptions,
  detection: Detection,
): Promise<FileHead> {
  const request = {
    name: file.name,
    byteSize: file.byteSize,
    overrides: { ...noSourceOptions, ...overrides },
    detection,
  }
  const collector = new EvidenceCollector(
    detection.columns.map(({ index, name }) => ({ index, name })),
    { delimited: detection.format === 'CSV' },
  )
  const rows: Row[] = []
  let looked = 0
  let units = 0
  // Nobody in particular waits for it: others may ask for the same file by now.
  for await (const group of rowsOf(files.openBytes(file.storageKey), request, new AbortController().signal)) {
    const taken: Row[] = []
    for (const row of group) {
      if (looked === PREVIEW_LOOKED_ROWS_MAX || units * 2 >= PREVIEW_LOOKED_BYTES_MAX) {
        break
      }
      looked++
      units += row.cells.reduce((sum, cell) => sum + cell.length, 0)
      taken.push(row)
    }
    collector.add(taken)
    for (const row of taken.slice(0, PREVIEW_ROWS_MAX - rows.length)) {
      rows.push({ ...row, cells: row.cells.map(detached) })
    }
    if (taken.length < group.length || looked === PREVIEW_LOOKED_ROWS_MAX) {
      break
    }
  }
  return { detection, rows, evidence: collector.finish() }
}

/** About what a head takes in memory: its texts, and what stands around them. Bytes. */
function sizeOf({ rows, evidence, detection }: FileHead): number {
  const texts = [
    ...rows.flatMap(({ cells }) => cells),
    ...evidence.flatMap(({ samples, topValues }) => [...samples, ...topValues.map(({ value }) => value)]),
    ...detection.columns.flatMap(({ samples, topValues }) => [...samples, ...topValues.map(({ value }) => value)]),
  ]
  return texts.reduce((sum, text) => sum + text.length * 2 + TEXT_BYTES, 0)
}

/** What a text takes besides its characters. Bytes. */
const TEXT_BYTES = 48
