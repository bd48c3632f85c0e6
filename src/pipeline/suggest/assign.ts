/** One-to-one assignment of columns to fields over a whole file. */

/** A column that may become a field, and how much it is worth; only worths above zero are ever assigned. */
export interface Option {
  readonly column: number
  readonly field: number
  readonly worth: number
}

/**
 * The set of options of the highest total worth in which no column and no field occurs twice; columns and fields may
 * stay without a partner. The Hungarian algorithm with potentials, O(fields² · columns). Returns each column's field,
 * -1 for none.
 */
export function assign(columnCount: number, fieldCount: number, options: readonly Option[]): Int32Array {
  const columnsOfFields = new Int32Array(columnCount).fill(-1)
  const fields = [...new Set(options.filter((option) => option.worth > 0).map((option) => option.field))]
  const columns = [...new Set(options.filter((option) => option.worth > 0).map((option) => option.column))]
  if (fields.length === 0 || fieldCount === 0) {
    return columnsOfFields
  }
  const fieldIndex = new Map(fields.map((field, index) => [field, index]))
  const columnIndex = new Map(columns.map((column, index) => [column, index]))
  // Each field gets a column of its own that is worth nothing: that is how it stays without a partner.
  const width = columns.length + fields.length
  const cost = fields.map(() => new Float64Array(width).fill(FORBIDDEN))
  for (const { column, field, worth } of options) {
    if (worth > 0) {
      cost[fieldIndex.get(field)!]![columnIndex.get(column)!] = -worth
    }
  }
  cost.forEach((row, index) => {
    row[columns.length + index] = 0
  })
  const partner = solve(cost, width)
  for (let column = 0; column < columns.length; column++) {
    const row = partner[column]!
    if (row >= 0 && cost[row]![column]! < 0) {
      columnsOfFields[columns[column]!] = fields[row]!
    }
  }
  return columnsOfFields
}

const FORBIDDEN = 1e9

/** Row of each column in the cheapest assignment of all rows of `cost`, -1 for none. Needs at least as many columns. */
function solve(cost: readonly Float64Array[], width: number): Int32Array {
  // Row and column 0 are sentinels of the algorithm; rows and columns count from 1 here.
  const rowPotential = new Float64Array(cost.length + 1)
  const columnPotential = new Float64Array(width + 1)
  const rowOf = new Int32Array(width + 1)
  const previous = new Int32Array(width + 1)
  for (let row = 1; row <= cost.length; row++) {
    rowOf[0] = row
    let column = 0
    const slack = new Float64Array(width + 1).fill(Infinity)
    const visited = new Uint8Array(width + 1)
    do {
      visited[column] = 1
      const current = rowOf[column]!
      const costs = cost[current - 1]!
      let delta = Infinity
      let next = 0
      for (let other = 1; other <= width; other++) {
        if (visited[other] === 1) {
          continue
        }
        const reduced = costs[other - 1]! - rowPotential[current]! - columnPotential[other]!
        if (reduced < slack[other]!) {
          slack[other] = reduced
          previous[other] = column
        }
        if (slack[other]! < delta) {
          delta = slack[other]!
          next = other
        }
      }
      for (let other = 0; other <= width; other++) {
        if (visited[other] === 1) {
          rowPotential[rowOf[other]!]! += delta
          columnPotential[other]! -= delta
        } else {
          slack[other]! -= delta
        }
      }
      column = next
    } while (rowOf[column] !== 0)
    while (column !== 0) {
      const before = previous[column]!
      rowOf[column] = rowOf[before]!
      column = before
    }
  }
  const result = new Int32Array(width)
  for (let column = 1; column <= width; column++) {
    result[column - 1] = rowOf[column]! - 1
  }
  return result
}
