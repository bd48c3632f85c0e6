import pg from 'pg'

/** How values come back on our own connections: see `Tx.query`. */
const overrides = new pg.TypeOverrides()
const INT8 = 20
const DATE = 1082
overrides.setTypeParser(INT8, Number)
overrides.setTypeParser(DATE, (text) => text)
export const types = overrides
