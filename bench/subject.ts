/** What is measured: an import from its file to its end, by the whole service or by the engine alone. */
import type { ContactFile } from './contacts.js'
import type { Cpu } from './processes.js'

/** How one import went. */
export interface Imported {
  readonly runId: string
  readonly status: string
  readonly counts: Readonly<Record<string, number | null>>
  /** From the first byte of the upload until its end was heard of. Milliseconds. */
  readonly ms: number
  /** Of that, until the upload was answered; null without an upload. Milliseconds. */
  readonly uploadMs: number | null
  readonly cpu: Cpu
  /** Milliseconds by name, as the run itself tells; `read` runs beside `write`, and two writes beside each other. */
  readonly stages: Readonly<Record<string, number>>
  readonly chunks: number
}

/** Something that imports, on a database of its own, which goes with it. */
export interface Subject extends AsyncDisposable {
  /** Connection string of the superuser. */
  readonly ownerUrl: string
  /** Makes a tenant and answers its id. */
  tenant(): Promise<string>
  import(tenantId: string, file: ContactFile): Promise<Imported>
  /** Ends it, and leaves the database for others to use. */
  leave(): Promise<void>
}

/** Throws unless the import ended as it should have. */
export function expectImported(imported: Imported, expected: Readonly<Record<string, number>>): void {
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, imported.counts[name]]))
  if (!imported.status.startsWith('COMPLETED') || JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(
      `expected ${JSON.stringify(expected)}, and the run is ${imported.status} with ${JSON.stringify(found)}`,
    )
  }
}
