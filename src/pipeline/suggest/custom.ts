/** What a column without a field could become: a field of the tenant's own. */
import { CUSTOM_FIELD_KEY_LENGTH_MAX, CUSTOM_FIELD_LABEL_LENGTH_MAX } from '../../limits.js'
import type { FieldKind } from '../../records/types.js'
import { cut } from '../text.js'
import type { ColumnLike } from './column.js'
import { wordsOf } from './header.js'

/** A custom field as the contract's CustomFieldInput says it. */
export interface CustomFieldProposal {
  readonly key: string
  readonly label: string
  readonly kind: FieldKind
  /** Of an ENUM: the values of the column; null for other kinds. */
  readonly options: readonly string[] | null
}

/** More values than these are texts, not choices. */
const OPTIONS_MOST = 20
const OPTION_LENGTH = 60

/** The custom field that would hold `column`; null for a column without a name of letters or without values. */
export function customFieldFor(column: ColumnLike): CustomFieldProposal | null {
  const words = wordsOf(column.name)
  const key = cut(
    words.map((word, at) => (at === 0 ? word : `${word[0]!.toUpperCase()}${word.slice(1)}`)).join(''),
    CUSTOM_FIELD_KEY_LENGTH_MAX,
  )
  const label = cut(column.name.replace(/[\p{C}\s]+/gu, ' ').trim(), CUSTOM_FIELD_LABEL_LENGTH_MAX)
  if (!/^[a-z][A-Za-z0-9]*$/.test(key) || label === '' || column.fillRate === 0) {
    return null
  }
  const options = (column.topValues?.map(({ value }) => value) ?? column.samples).map((value) => value.trim())
  const isChoice =
    column.kind === 'ENUM' &&
    options.length > 0 &&
    options.length <= OPTIONS_MOST &&
    options.every((option) => option !== '' && option.length <= OPTION_LENGTH)
  const kind = column.kind === 'ENUM' && !isChoice ? 'TEXT' : column.kind
  return { key, label, kind, options: isChoice ? [...new Set(options)] : null }
}

const KINDS: Readonly<Record<FieldKind, string>> = {
  TEXT: 'a text',
  LONG_TEXT: 'a long text',
  EMAIL: 'an e-mail address',
  PHONE: 'a phone number',
  URL: 'a web address',
  INTEGER: 'a whole number',
  DECIMAL: 'a number',
  MONEY: 'an amount of money',
  BOOLEAN: 'a yes or no',
  DATE: 'a date',
  DATE_TIME: 'a moment',
  ENUM: 'a choice',
  MULTI_ENUM: 'a list of choices',
  REFERENCE: 'a text',
}

/** The same in words; null where there is nothing to propose. */
export function customFieldReason(column: ColumnLike): string | null {
  const proposal = customFieldFor(column)
  return proposal === null
    ? null
    : `A custom field could hold it: \`${proposal.key}\`, ${KINDS[proposal.kind]}${proposal.options === null ? '' : ` of ${proposal.options.length}`}.`
}
