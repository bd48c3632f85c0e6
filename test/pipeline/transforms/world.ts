/** A chain of transforms over one value, for the tests of them. */
import { compileChain } from '../../../src/pipeline/transforms/chain.js'
import { resolveTransforms } from '../../../src/pipeline/transforms/check.js'
import { said } from '../../../src/pipeline/transforms/definition.js'
import type { TransformCall } from '../../../src/pipeline/types.js'

/** A call, with its arguments as a record. */
export function call(name: string, args: Parameters<typeof said>[0] = {}): TransformCall {
  return { name, arguments: said(args) }
}

/** What becomes of `value` in a file with these further columns; null where it cannot be read. */
export function run(
  calls: readonly TransformCall[],
  value: string,
  columns: Readonly<Record<string, string>> = {},
): string | null {
  const names = ['Own', ...Object.keys(columns)]
  const cells = [value, ...Object.values(columns)]
  const resolved = resolveTransforms(calls, {
    field: 'notes',
    own: 0,
    columns: names.map((name, index) => ({ index, name })),
    where: ['mapping', '0'],
  })
  return compileChain(resolved, { timeZone: 'UTC', defaultCountry: null }).run(value, (index) => cells[index] ?? '')
}
