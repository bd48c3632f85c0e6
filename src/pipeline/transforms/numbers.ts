/** What numbers in a text are, and arithmetic on their digits: binary fractions would change amounts of money. */
import { type NumberFormat, numberFormatNamed, numberReader } from '../formats.js'

/** Longer texts are no number; arithmetic on long ones takes long. UTF-16 code units. */
const NUMBER_LENGTH_MAX = 60

/** The number format that a text names: one of ours, or that of a language such as `de-DE`; null for neither. */
export function numberFormatOf(text: string): NumberFormat | null {
  return numberFormatNamed(text) ?? formatOfLanguage(text.trim())
}

function formatOfLanguage(tag: string): NumberFormat | null {
  if (!/^[a-z]{2,3}([-_][a-z0-9]{2,8})*$/i.test(tag)) {
    return null
  }
  let parts: Intl.NumberFormatPart[]
  try {
    const locale = tag.replaceAll('_', '-')
    if (Intl.NumberFormat.supportedLocalesOf(locale).length === 0) {
      return null
    }
    parts = new Intl.NumberFormat(`${locale}-u-nu-latn`).formatToParts(1_234_567.5)
  } catch {
    return null
  }
  const group = parts.find(({ type }) => type === 'group')?.value ?? ''
  const decimal = parts.find(({ type }) => type === 'decimal')?.value ?? '.'
  return numberFormatNamed(`1${group}234${decimal}56`) ?? numberFormatNamed(decimal)
}

/** Reads numbers in one format as plain decimals; null for what is none or too long to be one. */
export function plainNumberReader(format: NumberFormat, currency: boolean): (text: string) => string | null {
  const read = numberReader(format, { currency })
  return (text) => {
    const trimmed = text.trim()
    return trimmed === '' || trimmed.length > NUMBER_LENGTH_MAX ? null : read(trimmed)
  }
}

/** A plain decimal as a whole number of units of `10 ** -scale`. */
interface Decimal {
  readonly units: bigint
  readonly scale: number
}

/** Null for a text that is not written as `-1234.5`, or is too long. */
export function decimalOf(text: string): Decimal | null {
  const found = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(text.length > NUMBER_LENGTH_MAX ? '' : text.trim())
  if (found === null) {
    return null
  }
  const [, sign, whole = '', fraction = ''] = found
  const units = BigInt(whole + fraction)
  return { units: sign === '-' ? -units : units, scale: fraction.length }
}

function textOf({ units, scale }: Decimal): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

/** `a` times `b`, exactly, without zeros at the end of its fraction. */
export function product(a: Decimal, b: Decimal): string {
  return textOf({ units: a.units * b.units, scale: a.scale + b.scale })
}

/** Rounded to so many decimal places, half away from zero. */
export function roundedTo(value: Decimal, places: number): string {
  if (value.scale <= places) {
    return textOf(value)
  }
  const step = 10n ** BigInt(value.scale - places)
  const size = value.units < 0n ? -value.units : value.units
  const units = (size + step / 2n) / step
  return textOf({ units: value.units < 0n ? -units : units, scale: places })
}
