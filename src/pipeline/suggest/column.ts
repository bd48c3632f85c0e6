/** What the suggestion is given. */
import type { FieldKind } from '../../records/types.js'

/** A column of a file as far as it is known from its first rows. */
export interface ColumnLike {
  readonly index: number
  /** As in the header; empty or made up (`Column 3`) where the file names none. */
  readonly name: string
  readonly kind: FieldKind
  /** From 0 to 1. */
  readonly kindConfidence: number
  /** Part of the rows with a value, from 0 to 1. */
  readonly fillRate: number
  /** First distinct values. */
  readonly samples: readonly string[]
  /** Distinct values, the most frequent first, with their counts; absent where only samples are known. */
  readonly topValues?: readonly { readonly value: string; readonly count: number }[]
}
