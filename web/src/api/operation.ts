/** What a generated operation is: its text, with the types of what goes in and what comes out. */
import type { TypedDocumentNode } from 'urql'

/** An operation whose variables and answer the compiler knows. At run time it is its text, which everything here takes. */
export type Operation<Answer, Variables> = TypedDocumentNode<Answer, Variables>

/** Gives the text of an operation its types. */
export function text<Answer, Variables>(operation: string): Operation<Answer, Variables> {
  return operation as unknown as Operation<Answer, Variables>
}
