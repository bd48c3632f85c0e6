/**
 * Whether two records mean one person or one organization: what is compared, at which levels, and the keys under which
 * records that could be one meet. The weights are log-odds, fitted on generated people (`npm run bench -- duplicates --fit`).
 */
import { plainName, sameNickname } from './nicknames.js'
import { fold, jaroWinkler, oneSlip, sound, textKey } from './text.js'
import { weights } from './weights.js'

/** What of a contact or lead is compared. Null or empty for what it does not have. */
export interface PersonFields {
  readonly organization: boolean
  readonly firstName: string | null
  readonly middleName: string | null
  readonly lastName: string | null
  readonly displayName: string | null
  readonly companyName: string | null
  readonly emails: readonly (string | null)[]
  readonly phones: readonly (string | null)[]
  readonly addressLine1: string | null
  readonly addressLine2: string | null
  readonly city: string | null
  readonly stateOrProvince: string | null
  readonly postalCode: string | null
  /** `YYYY-MM-DD`. */
  readonly birthDate: string | null
  /** Values of the tenant's own fields that look like numbers or dates, by field. */
  readonly custom: Readonly<Record<string, string>>
}

/** A person as it is compared; made once per record. */
export interface Person {
  readonly organization: boolean
  readonly first: string
  readonly last: string
  readonly whole: string
  readonly company: string
  readonly emails: readonly string[]
  readonly phones: readonly string[]
  readonly houseNumber: string
  readonly street: string
  readonly line2: string
  readonly city: string
  readonly state: string
  readonly postal: string
  /** `YYYYMMDD`, or what digits a field of the tenant's own has for it. */
  readonly birth: string
  readonly custom: Readonly<Record<string, string>>
  /** The key of how first and last name sound, in either order; null without both. How many share it tells how rare the name is. */
  readonly nameKey: number | null
}

/** What was found alike, for a person to read: names fields, never values. */
export interface Likeness {
  /** Probability that both are one, 0 to 1, as far as the generated people go. */
  readonly score: number
  readonly reasons: readonly string[]
}

/** Words of streets that say nothing of which street it is. */
const streetWords = new Set(
  (
    'street st road rd avenue ave av drive dr lane ln court ct place pl crescent cres circuit cct close cl boulevard blvd way terrace tce ' +
    'parade pde highway hwy square sq grove gr rue de la du des calle via viale piazza plaza rua straat laan weg'
  ).split(' '),
)

/** Parts of company names that say nothing of which company it is. */
const companyWords = new Set(
  (
    'gmbh ag kg ohg ug mbh inc llc llp ltd limited corp corporation co company plc sa sas sarl srl spa sl slu bv nv oy ab as aps lda ' +
    'group gruppe holding the and und et y e'
  ).split(' '),
)

/** Mailboxes that many people of one company share. */
const sharedMailboxes = new Set(
  'info office contact sales hello mail admin support team kontakt post service'.split(' '),
)

const digitsOf = (text: string): string => text.replaceAll(/\D/g, '')

/** A number without its country and trunk prefixes, as far as that can be told: the last nine digits. */
function phoneKey(text: string | null): string {
  const digits = digitsOf(text ?? '')
  return digits.length < 6 ? '' : digits.slice(-9)
}

function streetOf(text: string): { readonly number: string; readonly street: string } {
  const words = text
    .split(' ')
    .map((word) => word.replace(/(strasse|str)$/, (ending) => (word === ending ? '' : 'str')))
  const number = words.find((word) => /^\d+[a-z]?$/.test(word)) ?? ''
  const rest = words.filter((word) => word !== number && word !== '' && !streetWords.has(word))
  return { number, street: rest.join(' ') }
}

function companyOf(text: string | null): string {
  return fold(text)
    .split(' ')
    .filter((word) => !companyWords.has(word))
    .join(' ')
}

/** Prepares a record for comparing. */
export function person(fields: PersonFields): Person {
  const line1 = fold(fields.addressLine1)
  const line2 = fold(fields.addressLine2)
  const one = streetOf(line1)
  const two = streetOf(line2)
  let first = fold(fields.firstName)
  let last = fold(fields.lastName)
  if (first === '' && last === '' && !fields.organization) {
    const words = fold(fields.displayName).split(' ')
    last = words.pop() ?? ''
    first = words.join(' ')
  }
  return {
    organization: fields.organization,
    first,
    last,
    whole: fields.organization ? companyOf(fields.companyName ?? fields.displayName) : '',
    company: companyOf(fields.companyName),
    emails: unique(fields.emails.map((email) => (email ?? '').trim().toLowerCase())),
    phones: unique(fields.phones.map(phoneKey)),
    houseNumber: one.number === '' && one.street === '' ? two.number : one.number,
    street: one.street === '' ? two.street : one.street,
    line2: one.street === '' ? '' : line2,
    city: fold(fields.city),
    state: fold(fields.stateOrProvince),
    postal: fold(fields.postalCode).replaceAll(' ', ''),
    birth: digitsOf(fields.birthDate ?? ''),
    custom: fields.custom,
    nameKey: first === '' || last === '' ? null : textKey([firstSound(first), sound(last)].toSorted().join('|')),
  }
}

function firstSound(first: string): string {
  return sound(plainName(first.split(' ')[0] ?? ''))
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].filter((value) => value !== '')
}

/** The keys under which a record meets others of its type that could be the same: the telling ones first. */
export function personKeys(recordType: string, p: Person): number[] {
  const texts: string[] = []
  const add = (kind: string, ...parts: readonly string[]): void => {
    if (parts.every((part) => part !== '')) {
      texts.push(`${recordType} ${p.organization ? 'o' : 'p'}${kind}|${parts.join('|')}`)
    }
  }
  for (const email of p.emails) {
    const local = email.split('@')[0] ?? ''
    // Who changes the provider often keeps the name there.
    add('m', local.length < 5 || sharedMailboxes.has(local) ? email : local)
  }
  for (const phone of p.phones) {
    add('t', phone)
  }
  for (const [field, value] of Object.entries(p.custom)) {
    add(`c ${field}`, value)
  }
  if (p.organization) {
    const words = p.whole.split(' ')
    add('w', words[0] ?? '', p.postal)
    add('x', p.whole.replaceAll(' ', ''))
    add('y', words.map((word) => word.slice(0, 4)).join(' '), p.city.slice(0, 5))
    add('z', p.postal, p.houseNumber, p.street.slice(0, 4))
  } else {
    const first = p.first === '' ? '' : firstSound(p.first)
    const last = p.last === '' ? '' : sound(p.last)
    const town = sound(p.city)
    const street = sound(p.street)
    // What two names begin with, and how they sound, in order of the alphabet, so that names in each other's places meet.
    add('n', p.nameKey === null ? '' : String(p.nameKey))
    add('b', p.birth)
    add('f', ...[p.first.slice(0, 3), p.last.slice(0, 3)].toSorted())
    add('s', p.postal, street)
    add('c', town, last)
    add('c', town, first)
    add('h', p.houseNumber, street)
    add('p', p.postal, last)
    add('y', p.birth.slice(0, 4), first)
    add('e', p.last.slice(-4), p.first.slice(0, 2))
    add('u', p.street.slice(0, 6), last)
    // Where there is no e-mail and no phone there is room for these.
    add('d', town, street)
    add('q', p.postal, p.houseNumber)
    add('z', p.birth.slice(0, 4), last)
    // And where there is no birth date either, for these.
    add('g', street, first)
    add('k', town, p.houseNumber)
    add('l', p.street.slice(0, 4), p.houseNumber, p.last.slice(0, 2))
  }
  return [...new Set(texts)].slice(0, MAX_KEYS).map(textKey)
}

/** Keys of one record at most. */
export const MAX_KEYS = 13

/** How alike two texts are, by steps: each has a weight of its own. */
type Step = 'none' | 'same' | 'slip' | 'near' | 'alike' | 'vague' | 'other'

function step(a: string, b: string): Step {
  if (a === '' || b === '') {
    return 'none'
  }
  if (a === b) {
    return 'same'
  }
  if (a.length > 3 && b.length > 3 && oneSlip(a, b)) {
    return 'slip'
  }
  const score = jaroWinkler(a, b)
  return score >= 0.9 ? 'near' : score >= 0.8 ? 'alike' : score >= 0.65 ? 'vague' : 'other'
}

const worth: Readonly<Record<Step, number>> = {
  none: 0.5,
  same: 1,
  slip: 0.95,
  near: 0.9,
  alike: 0.8,
  vague: 0.6,
  other: 0,
}

/** Texts of several words, whose words may have changed places or be missing. */
function wordStep(a: string, b: string): Step {
  const plain = step(a, b)
  if ((plain !== 'other' && plain !== 'vague' && plain !== 'alike') || !(a.includes(' ') || b.includes(' '))) {
    return plain
  }
  const sorted = step(a.split(' ').toSorted().join(' '), b.split(' ').toSorted().join(' '))
  const joined = step(a.replaceAll(' ', ''), b.replaceAll(' ', ''))
  return [sorted, joined].reduce((best, one) => (worth[one] > worth[best] ? one : best), plain)
}

function firstStep(a: string, b: string): Step | 'nickname' | 'initial' {
  const found = wordStep(a, b)
  if (found === 'none' || found === 'same') {
    return found
  }
  const [left = '', right = ''] = [a.split(' ')[0], b.split(' ')[0]]
  if (left === right && left.length > 1) {
    return 'slip'
  }
  if (sameNickname(left, right)) {
    return 'nickname'
  }
  return (left.length === 1 || right.length === 1) && left[0] === right[0] ? 'initial' : found
}

function lastStep(a: string, b: string): Step | 'part' {
  const found = wordStep(a, b)
  if (found === 'none' || found === 'same' || found === 'slip') {
    return found
  }
  // Double names of which one was kept.
  const [left, right] = [a.split(' '), b.split(' ')]
  return (left.length > 1 || right.length > 1) && left.some((word) => word.length > 3 && right.includes(word))
    ? 'part'
    : found
}

/** Whether two digits texts of a date say the same, nearly the same (a slip, or day and month swapped), the same year, or neither. */
function dateStep(a: string, b: string): 'none' | 'same' | 'slip' | 'half' | 'other' {
  if (a === '' || b === '') {
    return 'none'
  }
  if (a === b) {
    return 'same'
  }
  if (
    oneSlip(a, b) ||
    (a.length === 8 &&
      b.length === 8 &&
      a.slice(0, 4) === b.slice(0, 4) &&
      a.slice(4, 6) === b.slice(6) &&
      a.slice(6) === b.slice(4, 6))
  ) {
    return 'slip'
  }
  let equal = 0
  for (let i = 0; i < a.length && i < b.length; i++) {
    equal += a[i] === b[i] ? 1 : 0
  }
  return a.length === 8 && b.length === 8 && equal >= 6 ? 'half' : 'other'
}

function digitStep(a: string, b: string): 'none' | 'same' | 'slip' | 'other' {
  return a === '' || b === ''
    ? 'none'
    : a === b
      ? 'same'
      : oneSlip(a, b) && a.length > 1 && b.length > 1
        ? 'slip'
        : 'other'
}

function anyPair<R extends string>(
  left: readonly string[],
  right: readonly string[],
  compare: (a: string, b: string) => R,
  order: readonly R[],
  none: R,
): R {
  let best = order.length
  for (const a of left) {
    for (const b of right) {
      const at = order.indexOf(compare(a, b))
      best = at >= 0 && at < best ? at : best
    }
  }
  return order[best] ?? none
}

function emailStep(a: string, b: string): 'same' | 'shared' | 'local' | 'near' | 'other' {
  const [localA = '', domainA = ''] = a.split('@')
  const [localB = '', domainB = ''] = b.split('@')
  if (a === b) {
    return sharedMailboxes.has(localA) ? 'shared' : 'same'
  }
  if (localA === localB && localA.length > 4 && !sharedMailboxes.has(localA)) {
    return 'local'
  }
  return oneSlip(a, b) || (domainA === domainB && localA.length > 4 && oneSlip(localA, localB)) ? 'near' : 'other'
}

/**
 * The levels at which two people agree and differ, `what:level`; what one of them does not have is left out. `namesakes`: how
 * many records have names that sound like theirs, if theirs sound alike.
 */
export function personFeatures(a: Person, b: Person, namesakes: number): string[] {
  const found: string[] = []
  const add = (what: string, level: string): void => {
    if (level !== 'none') {
      found.push(`${what}:${level}`)
    }
  }
  let first = firstStep(a.first, b.first)
  let last = lastStep(a.last, b.last)
  const straight = value(first) + value(last)
  const crossedFirst = firstStep(a.first, b.last)
  const crossedLast = firstStep(a.last, b.first)
  let crossed = false
  if (value(crossedFirst) + value(crossedLast) > straight + 0.4 && value(crossedFirst) + value(crossedLast) >= 1.3) {
    crossed = true
    first = crossedFirst
    last = lastStep(a.last, b.first)
    found.push('names:crossed')
  }
  add('first', first)
  add('last', last)
  let rarity = 'none'
  if (a.nameKey !== null && a.nameKey === b.nameKey && value(first) >= 0.8 && value(last) >= 0.8) {
    // Two people of a rare name are more likely one than two John Smiths.
    rarity =
      namesakes <= 3
        ? 'rare'
        : namesakes <= 8
          ? 'seldom'
          : namesakes <= 20
            ? 'usual'
            : namesakes <= 60
              ? 'frequent'
              : 'common'
    add('name', rarity)
  }
  const birth = dateStep(a.birth, b.birth)
  add('birth', birth)
  const email = anyPair(a.emails, b.emails, emailStep, ['same', 'shared', 'near', 'local', 'other'], 'none' as never)
  add('email', email ?? 'none')
  const phone = anyPair(a.phones, b.phones, digitStep, ['same', 'slip', 'other'], 'none')
  add('phone', phone)
  let street = wordStep(a.street, b.street)
  let number = digitStep(a.houseNumber, b.houseNumber)
  let line2 = wordStep(a.line2, b.line2)
  const crossedStreet =
    [wordStep(a.street, b.line2), wordStep(a.line2, b.street)].toSorted((x, y) => rank(y) - rank(x))[0] ?? 'none'
  if (rank(crossedStreet) > rank(street) && worth[crossedStreet] >= 0.8) {
    street = crossedStreet
    line2 = 'none'
  }
  if (number === 'other' && street === 'other') {
    // A move: one thing, said once.
    number = 'none'
  }
  add('street', street)
  add('number', number)
  add('line2', line2)
  add('city', wordStep(a.city, b.city))
  add('postal', digitStep(a.postal, b.postal))
  add(
    'state',
    a.state === '' || b.state === ''
      ? 'none'
      : a.state === b.state
        ? 'same'
        : oneSlip(a.state, b.state)
          ? 'slip'
          : 'other',
  )
  add(
    'company',
    a.company === '' || b.company === '' ? 'none' : value(wordStep(a.company, b.company)) >= 0.9 ? 'same' : 'other',
  )
  for (const [field, mine] of Object.entries(a.custom)) {
    const other = b.custom[field]
    if (other !== undefined) {
      add('custom', dateStep(mine, other))
    }
  }
  // A family: one house, one phone, one mailbox, and another given name.
  const other = !crossed && (first === 'other' || first === 'vague')
  if (other && (birth === 'other' || birth === 'half')) {
    found.push('family:other')
  }
  if (other && (email === 'same' || phone === 'same' || worth[street] >= 0.9)) {
    found.push('family:house')
  }
  found.push(
    ...together(first, last, crossed, rarity, whereabouts(street, number, found), birth, email ?? 'none', phone),
  )
  return found
}

/** Names, as far as they matter for what else agrees. */
type Rough = 'none' | 'same' | 'close' | 'other'

function rough(found: Step | 'nickname' | 'initial' | 'part'): Rough {
  return found === 'none' || found === 'same' ? found : found === 'other' || found === 'vague' ? 'other' : 'close'
}

/** Whether two people live in one house, in one place, or apart, or whether nothing tells. */
type Whereabouts = 'house' | 'place' | 'apart' | 'none'

function whereabouts(street: Step, number: 'none' | 'same' | 'slip' | 'other', found: readonly string[]): Whereabouts {
  const one = (what: string): boolean => found.some((level) => level === `${what}:same` || level === `${what}:slip`)
  const other = (what: string): boolean => found.includes(`${what}:other`)
  return worth[street] >= 0.9 && number !== 'other'
    ? 'house'
    : street === 'other' || (other('city') && other('postal'))
      ? 'apart'
      : one('city') || one('postal')
        ? 'place'
        : 'none'
}

/**
 * What agrees together, where that says more or less than each by itself: two people of one name who live apart are often
 * two, a missing given name in one house may be anybody of the family, and one phone there says little.
 */
function together(
  first: Step | 'nickname' | 'initial',
  last: Step | 'part',
  crossed: boolean,
  rarity: string,
  where: Whereabouts,
  birth: ReturnType<typeof dateStep>,
  email: string,
  phone: ReturnType<typeof digitStep>,
): string[] {
  const given = rough(first)
  const names = `${given}-${rough(last)}${crossed ? '-crossed' : ''}`
  const reached =
    email === 'same' || phone === 'same'
      ? email === 'same' && phone === 'same'
        ? 'both'
        : 'one'
      : email === 'none' && phone === 'none'
        ? 'none'
        : 'other'
  return [
    `names:${names}`,
    `living:${names}-${where}`,
    `called:${rarity}-${where}`,
    `born:${given}-${birth}`,
    `reached:${given}-${reached}`,
    `reached:${where}-${reached}`,
  ]
}

function rank(found: Step): number {
  return found === 'none' ? -1 : worth[found]
}

function value(found: Step | 'nickname' | 'initial' | 'part'): number {
  return found === 'nickname' ? 0.9 : found === 'part' ? 0.85 : found === 'initial' ? 0.7 : worth[found]
}

/** What a person reads for a level; what is not here counts and is not told. */
const told: Readonly<Record<string, string>> = {
  'names:crossed': 'first and last name are swapped',
  'first:same': 'same first name',
  'first:slip': 'first name differs by a slip',
  'first:near': 'similar first name',
  'first:alike': 'similar first name',
  'first:nickname': 'first names are forms of one name',
  'first:initial': 'same initial',
  'last:same': 'same last name',
  'last:slip': 'last name differs by a slip',
  'last:near': 'similar last name',
  'last:alike': 'similar last name',
  'last:part': 'last names have a part in common',
  'birth:same': 'same birth date',
  'birth:slip': 'birth date differs by a slip',
  'email:same': 'same e-mail',
  'email:shared': 'same shared mailbox',
  'email:local': 'same name in the e-mail',
  'email:near': 'e-mail differs by a slip',
  'phone:same': 'same phone',
  'phone:slip': 'phone differs by a digit',
  'street:same': 'same street',
  'street:slip': 'street differs by a slip',
  'street:near': 'similar street',
  'number:same': 'same house number',
  'city:same': 'same city',
  'postal:same': 'same postal code',
  'postal:slip': 'postal code differs by a slip',
  'company:same': 'same company',
  'custom:same': 'same number or date in a custom field',
}

/** Log-odds that the generated people say nothing of, set by hand. */
const handWeights: Readonly<Record<string, number>> = {
  'custom:same': 4,
  'custom:slip': 2,
  'custom:other': -1.5,
  'company:same': 0.7,
  'company:other': -0.5,
  'email:shared': 0.3,
  'last:part': 1,
  'name:common': -2.2,
}

/** The key, among those of `personKeys`, under which all records meet whose names sound like this one's; null without a name. */
export function namesakesKey(recordType: string, p: Person): number | null {
  return p.organization || p.nameKey === null ? null : textKey(`${recordType} pn|${p.nameKey}`)
}

/**
 * How likely two people, or two organizations, are one; null for a person and an organization, which never are. `namesakes`:
 * how many records have names that sound like theirs, if theirs sound alike.
 */
export function comparePeople(a: Person, b: Person, namesakes: number): Likeness | null {
  if (a.organization !== b.organization) {
    return null
  }
  if (a.organization) {
    return compareOrganizations(a, b)
  }
  const features = personFeatures(a, b, namesakes)
  const sum = features.reduce(
    (total, feature) => total + (weights[feature] ?? handWeights[feature] ?? 0),
    weights['bias'] ?? 0,
  )
  return { score: 1 / (1 + Math.exp(-sum)), reasons: reasonsOf(features) }
}

function reasonsOf(features: readonly string[]): string[] {
  return [...new Set(features.flatMap((feature) => told[feature] ?? []))]
}

/** Log-odds for organizations, set by hand: there is little to fit them on, and their names carry nearly everything. */
const organizationWeights: Readonly<Record<string, number>> = {
  bias: -6,
  'name:same': 5,
  'name:slip': 4.5,
  'name:near': 3.2,
  'name:alike': 1,
  'name:vague': -3,
  'name:other': -7,
  'email:same': 4,
  'email:shared': 4,
  'email:near': 1.5,
  'email:local': 0,
  'email:domain': 2.5,
  'email:other': -0.5,
  'phone:same': 3,
  'phone:slip': 0.5,
  'phone:other': -0.5,
  'street:same': 2,
  'street:slip': 1.8,
  'street:near': 1,
  'street:other': -1,
  'number:same': 1,
  'number:other': -1,
  'city:same': 1,
  'city:slip': 0.8,
  'city:other': -1.5,
  'postal:same': 1.2,
  'postal:slip': 0.5,
  'postal:other': -1,
}

function compareOrganizations(a: Person, b: Person): Likeness {
  const features: string[] = []
  const add = (what: string, level: string): void => {
    if (level !== 'none') {
      features.push(`${what}:${level}`)
    }
  }
  add('name', wordStep(a.whole, b.whole))
  add('email', anyPair(a.emails, b.emails, emailStep, ['same', 'shared', 'near', 'local', 'other'], 'none' as never))
  add('phone', anyPair(a.phones, b.phones, digitStep, ['same', 'slip', 'other'], 'none'))
  add('street', wordStep(a.street, b.street))
  add('number', digitStep(a.houseNumber, b.houseNumber))
  add('city', wordStep(a.city, b.city))
  add('postal', digitStep(a.postal, b.postal))
  const sum = features.reduce(
    (total, feature) => total + (organizationWeights[feature] ?? 0),
    organizationWeights['bias'] ?? 0,
  )
  const names: Readonly<Record<string, string>> = {
    'name:same': 'same name',
    'name:slip': 'name differs by a slip',
    'name:near': 'similar name',
    'name:alike': 'similar name',
  }
  return {
    score: 1 / (1 + Math.exp(-sum)),
    reasons: [...features.flatMap((feature) => names[feature] ?? []), ...reasonsOf(features)],
  }
}
