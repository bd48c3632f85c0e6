/**
 * People of whom some are there several times, as sources really differ: typing and reading errors, names in each other's
 * places, short forms, moves, marriages, missing values. Made from a seed. There is no id that two of them share; `person`
 * is the truth, for measuring alone.
 */
import { Random } from '../helpers/random.js'

/** One record of the set. Empty texts for what it does not have. */
export interface GeneratedPerson {
  /** Records with the same number are one person. */
  readonly person: number
  readonly firstName: string
  readonly lastName: string
  readonly houseNumber: string
  readonly street: string
  readonly addressLine2: string
  readonly city: string
  readonly postalCode: string
  readonly state: string
  /** `YYYYMMDD`. */
  readonly birthDate: string
  readonly email: string
  readonly phone: string
}

export interface PeopleOptions {
  readonly seed: number
  /** Records in all. */
  readonly records: number
  /** `registry`: names, address, birth date, all often damaged. `crm`: e-mail and phone too, more blanks, fewer slips. */
  readonly kind: 'registry' | 'crm'
  /** Part of the records that repeat an earlier person. */
  readonly repeats: number
  /** Slips in a repeated record at most. */
  readonly slips: number
  /** Without birth dates, as many sources are. */
  readonly noBirthDate?: boolean
  /** Where several people share house and last name, as families do. */
  readonly families: number
}

const given =
  'james mary john patricia robert jennifer michael linda william elizabeth david barbara richard susan joseph jessica thomas sarah charles karen emma olivia noah liam sophia mia lukas leon hannah lena jan petra jurgen karin stefan ursula wolfgang monika andreas pierre camille antoine chloe luis carmen jose lucia giulia marco sofia matteo joao ines bruno daan sanne pieter lotte mitchell jasmine lachlan isabella joshua georgia ethan chelsea blake kiandra zachary amber hayden tiahana brodie madison harrison alannah nathan imogen caleb tyler mikayla jack ella benjamin ruby samuel jacob lily daniel grace nicholas charlotte'.split(
    ' ',
  )
const family =
  'smith jones williams brown wilson taylor johnson white martin anderson thompson nguyen thomas walker harris lee ryan robinson kelly king davis wright evans roberts green hall wood jackson clarke patel khan lewis james phillips mason mitchell rose davies rodriguez cox alexander garden bishop webb morrison campbell muller schmidt schneider fischer weber meyer wagner becker schulz hoffmann dubois moreau laurent garcia martinez lopez rossi russo ferrari silva santos pereira jansen devries bakker vandenberg oconnor'.split(
    ' ',
  )
const suffix = ['street', 'road', 'place', 'avenue', 'close', 'crescent', 'court', 'drive', 'circuit', 'lane']
const states = ['nsw', 'vic', 'qld', 'wa', 'sa', 'tas', 'act', 'nt']
const shortForms: Readonly<Record<string, readonly string[]>> = {
  james: ['jim', 'jimmy'],
  john: ['jack', 'jon'],
  robert: ['rob', 'bob', 'bobby'],
  michael: ['mike', 'mick'],
  william: ['bill', 'will'],
  elizabeth: ['liz', 'beth'],
  david: ['dave'],
  barbara: ['barb'],
  richard: ['rick', 'dick'],
  susan: ['sue', 'susie'],
  joseph: ['joe'],
  jessica: ['jess'],
  thomas: ['tom'],
  charles: ['charlie', 'chuck'],
  patricia: ['pat', 'trish'],
  jennifer: ['jen', 'jenny'],
  benjamin: ['ben'],
  samuel: ['sam'],
  daniel: ['dan', 'danny'],
  nicholas: ['nick'],
  joshua: ['josh'],
  zachary: ['zac', 'zach'],
  isabella: ['bella'],
  madison: ['maddie'],
  nathan: ['nate'],
  christopher: ['chris'],
  andreas: ['andy'],
  stefan: ['steffen'],
}

const onsets = [
  'b',
  'br',
  'c',
  'ch',
  'd',
  'f',
  'g',
  'gr',
  'h',
  'j',
  'k',
  'l',
  'm',
  'n',
  'p',
  'r',
  's',
  'sh',
  'st',
  't',
  'th',
  'v',
  'w',
]
const vowels = ['a', 'e', 'i', 'o', 'u', 'ai', 'ea', 'ou', 'ie']
const codas = ['', 'n', 'r', 's', 'l', 'nd', 'rt', 'll', 'm', 'ck', 'tt']

function word(random: Random, syllables: number): string {
  let text = ''
  for (let i = 0; i < syllables; i++) {
    text +=
      random.pick(onsets) + random.pick(vowels) + (i === syllables - 1 || random.chance(0.3) ? random.pick(codas) : '')
  }
  return text
}

/** Words of which a few are frequent and most are rare. */
class Vocabulary {
  readonly #words: readonly string[]
  constructor(random: Random, frequent: readonly string[], rare: number) {
    this.#words = [...frequent, ...Array.from({ length: rare }, () => word(random, 2 + random.below(2)))]
  }
  pick(random: Random): string {
    const at = Math.floor(this.#words.length * random.next() ** 2.2)
    return this.#words[at] ?? ''
  }
}

const lookalikes: Readonly<Record<string, readonly string[]>> = {
  a: ['e', 's', 'q', 'o'],
  b: ['v', 'n', 'h'],
  c: ['x', 'v', 'k', 'e'],
  d: ['s', 'f', 't'],
  e: ['w', 'r', 'a', 'i', 'c'],
  f: ['d', 'g', 'v'],
  g: ['f', 'h', 'q', 'j'],
  h: ['g', 'j', 'b'],
  i: ['u', 'o', 'l', 'y'],
  j: ['h', 'k', 'g'],
  k: ['j', 'l', 'c'],
  l: ['k', 'i', '1'],
  m: ['n', 'rn'],
  n: ['m', 'b'],
  o: ['i', 'p', '0', 'u'],
  p: ['o', 'b'],
  q: ['w', 'g'],
  r: ['e', 't'],
  s: ['a', 'd', 'z', '5'],
  t: ['r', 'y', 'd'],
  u: ['y', 'i', 'v'],
  v: ['c', 'b', 'w'],
  w: ['q', 'e', 'v'],
  x: ['z', 'c'],
  y: ['t', 'u', 'i'],
  z: ['x', 's'],
}

/** One slip of a hand, an eye or an ear. */
function slip(random: Random, text: string): string {
  if (text === '') {
    return text
  }
  const at = random.below(text.length)
  const digit = /\d/.test(text[at] ?? '')
  const other = digit ? String(random.below(10)) : random.pick('abcdefghijklmnopqrstuvwxyz'.split(''))
  switch (random.below(9)) {
    case 0:
    case 1:
      return text.slice(0, at) + other + text.slice(at)
    case 2:
    case 3:
      return text.slice(0, at) + text.slice(at + 1)
    case 4:
      return text.slice(0, at) + other + text.slice(at + 1)
    case 5:
      return at + 1 < text.length ? text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2) : text
    case 6: {
      const like = lookalikes[text[at] ?? '']
      return like === undefined ? text : text.slice(0, at) + random.pick(like) + text.slice(at + 1)
    }
    case 7:
      return text.includes(' ') && random.chance(0.7)
        ? text.replace(' ', '')
        : random.chance(0.3)
          ? `${text.slice(0, at)} ${text.slice(at)}`
          : text
    default:
      return text.replace(/ph/, 'f').replace(/ck/, 'k').replace(/ie/, 'y').replace(/ll/, 'l').replace(/th/, 't')
  }
}

type Mutable = { -readonly [K in keyof GeneratedPerson]: GeneratedPerson[K] }

/** Makes the records of a set, in random order. */
export function generatePeople(options: PeopleOptions): GeneratedPerson[] {
  const random = new Random(options.seed)
  const firsts = new Vocabulary(random, given, 400)
  // As many rare names and places as so many people have.
  const size = Math.max(1, options.records / 50_000)
  const lasts = new Vocabulary(random, family, Math.round(4000 * size))
  const streets = new Vocabulary(random, [], Math.round(3000 * size))
  const cities = Array.from(
    { length: 1200 },
    () => word(random, 2 + random.below(2)) + (random.chance(0.2) ? ` ${word(random, 1)}` : ''),
  )
  const postals = cities.map(() => String(2000 + random.below(Math.round(7000 * size))))
  const crm = options.kind === 'crm'

  const place = (): Pick<Mutable, 'houseNumber' | 'street' | 'addressLine2' | 'city' | 'postalCode' | 'state'> => {
    const at = Math.floor(cities.length * random.next() ** 1.6)
    // Registries that were made up draw town and code apart from each other; real ones do not.
    const code = crm || options.seed % 2 === 0 ? at : random.below(cities.length)
    return {
      houseNumber: random.chance(0.96) ? String(1 + Math.floor(300 * random.next() ** 2)) : '',
      street: random.chance(0.97) ? `${streets.pick(random)} ${random.pick(suffix)}` : '',
      addressLine2: random.chance(0.4) ? (random.chance(0.5) ? word(random, 2) : `unit ${1 + random.below(30)}`) : '',
      city: cities[at] ?? '',
      postalCode: postals[code] ?? '',
      state: random.chance(0.9) ? (states[at % states.length] ?? '') : '',
    }
  }
  const day = (): string => {
    const date = new Date(Date.UTC(1900 + random.below(100), random.below(12), 1 + random.below(28)))
    return random.chance(crm ? 0.35 : 0.96) && options.noBirthDate !== true
      ? date.toISOString().slice(0, 10).replaceAll('-', '')
      : ''
  }
  const phone = (): string =>
    random.chance(0.7) ? `+6${1 + random.below(2)}4${10_000_000 + random.below(89_999_999)}` : ''

  const originals: Mutable[] = []
  const count = Math.round(options.records * (1 - options.repeats))
  for (let i = 0; i < count; i++) {
    const relative = originals.length > 0 && random.chance(options.families) ? random.pick(originals) : null
    const firstName = random.chance(crm ? 0.97 : 0.98) ? firsts.pick(random) : ''
    const lastName = relative?.lastName ?? (random.chance(0.985) ? lasts.pick(random) : '')
    const home = relative === null ? place() : relative
    const mail = (): string =>
      `${random.pick([`${firstName}.${lastName}`, `${firstName.slice(0, 1)}${lastName}`, `${firstName}${random.below(100)}`, word(random, 3)])}@${random.pick(['gmail.com', 'outlook.com', `${word(random, 2)}.com`])}`.replaceAll(
        ' ',
        '',
      )
    originals.push({
      person: i,
      firstName,
      lastName,
      houseNumber: home.houseNumber,
      street: home.street,
      addressLine2: home.addressLine2,
      city: home.city,
      postalCode: home.postalCode,
      state: home.state,
      birthDate: day(),
      email: !crm ? '' : relative !== null && random.chance(0.2) ? relative.email : random.chance(0.7) ? mail() : '',
      phone: !crm ? '' : relative !== null && random.chance(0.5) ? relative.phone : phone(),
    })
  }
  const all: Mutable[] = originals.map((original) => ({ ...original }))
  if (crm) {
    for (const record of all) {
      if (random.chance(0.35)) {
        Object.assign(record, { houseNumber: '', street: '', addressLine2: '' })
        if (random.chance(0.5)) {
          Object.assign(record, { city: '', postalCode: '', state: '' })
        }
      }
    }
  }
  while (all.length < options.records) {
    // Some people are there many times over.
    const original = originals[Math.floor(originals.length * random.next() ** 1.3)]
    if (original === undefined) {
      break
    }
    const copy: Mutable = { ...original }
    if (crm) {
      for (const field of ['email', 'phone', 'birthDate'] as const) {
        if (random.chance(0.25)) {
          copy[field] = ''
        }
      }
      if (random.chance(0.3)) {
        Object.assign(copy, { houseNumber: '', street: '', addressLine2: '' })
      }
      if (random.chance(0.15)) {
        copy.email = copy.email === '' ? '' : `${copy.firstName}${random.below(1000)}@${word(random, 2)}.com`
      }
      if (random.chance(0.15)) {
        copy.phone = phone()
      }
    }
    if (random.chance(0.1) && shortForms[copy.firstName] !== undefined) {
      copy.firstName = random.pick(shortForms[copy.firstName] ?? [copy.firstName])
    }
    if (random.chance(0.06)) {
      const { firstName, lastName } = copy
      copy.firstName = lastName
      copy.lastName = firstName
    }
    if (random.chance(crm ? 0.08 : 0.05)) {
      Object.assign(copy, place())
    }
    if (random.chance(0.02)) {
      copy.lastName = lasts.pick(random)
    }
    if (random.chance(0.03)) {
      copy.firstName = copy.firstName.slice(0, 1)
    }
    if (random.chance(0.04)) {
      const { street, addressLine2 } = copy
      copy.street = addressLine2
      copy.addressLine2 = street
    }
    const fields = [
      'firstName',
      'lastName',
      'street',
      'houseNumber',
      'addressLine2',
      'city',
      'postalCode',
      'birthDate',
      'state',
      ...(crm ? (['email', 'phone'] as const) : []),
    ] as const
    const slips = random.below(options.slips + 1)
    for (let i = 0; i < slips; i++) {
      const field = random.pick(fields)
      copy[field] = random.chance(0.12) ? '' : slip(random, copy[field])
    }
    all.push(copy)
  }
  // Fisher and Yates.
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const [left, right] = [all[i], all[j]]
    if (left !== undefined && right !== undefined) {
      all[i] = right
      all[j] = left
    }
  }
  return all
}

/** Records with no name and next to nothing else are nobody, whoever they were: no source would take them. */
export function isSomebody(record: GeneratedPerson): boolean {
  return record.firstName !== '' || record.lastName !== ''
}
