/** What a benchmark of migrations says to its simulator and hears from it. */
import type { CrmSystem } from '../src/systems.js'

/** Given as JSON in the simulator's only argument. */
export interface SimulatorStart {
  readonly system: CrmSystem
  /** Records of each object. */
  readonly counts: Readonly<Record<string, number>>
}

/** `stand` asks for a report; `change` lets an hour pass and changes so many records of an object before it reports. */
export type ToSimulator =
  | { readonly do: 'stand' }
  | { readonly do: 'change'; readonly object: string; readonly n: number }

/** Sent once when it listens, and as the answer to everything that it is told. */
export interface FromSimulator {
  readonly url: string
  /** Good for the whole benchmark. */
  readonly token: string
  /** Requests of the API so far. */
  readonly requests: number
  /** By object: records there are. */
  readonly counts: Readonly<Record<string, number>>
  /** Rows of answers so far. */
  readonly rows: number
}
