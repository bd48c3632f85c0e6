/** What people would do without a suggestion of ours: compare each header with names and labels, and with a short list of aliases. */
import { distance } from 'fastest-levenshtein'
import { fieldOf, mappableNames } from '../src/records/index.js'
import type { RecordType } from '../src/records/types.js'

/** The field that each header gets, in the order of the headers; null for none. Knows nothing of values. */
export type Baseline = (headers: readonly string[], type: RecordType) => readonly (string | null)[]

/** Least similarity for a match, from 0 to 1: what is usual for each measure. */
const LEVENSHTEIN_MIN = 0.8
const JARO_WINKLER_MIN = 0.9

/** Jaro-Winkler: longest common beginning that counts, and how much each character of it adds. Winkler 1990. */
const PREFIX_LENGTH = 4
const PREFIX_WEIGHT = 0.1

/** What anybody would think of in an afternoon, by field. */
const aliases: Readonly<Record<string, readonly string[]>> = {
  externalId: ['id', 'record id'],
  firstName: ['first', 'given name', 'vorname', 'prénom', 'nombre', 'nome', 'voornaam'],
  lastName: ['last', 'surname', 'family name', 'nachname', 'nom', 'apellidos', 'cognome', 'achternaam'],
  displayName: ['name', 'contact name'],
  companyName: ['company name', 'organization', 'firma', 'société', 'empresa', 'bedrijf'],
  jobTitle: ['position', 'role'],
  email: ['email address', 'mail', 'correo electrónico'],
  phone: ['telephone', 'phone number', 'tel', 'telefon', 'téléphone', 'teléfono', 'telefono', 'telefoon'],
  mobilePhone: ['mobile', 'cell', 'handy', 'portable', 'móvil', 'celular', 'cellulare', 'mobiel'],
  addressLine1: ['address', 'street', 'straße', 'adresse', 'dirección', 'endereço', 'indirizzo', 'adres'],
  city: ['town', 'ort', 'stadt', 'ville', 'ciudad', 'cidade', 'città', 'plaats'],
  stateOrProvince: ['state', 'region', 'province'],
  postalCode: ['zip', 'zip code', 'postcode', 'plz', 'code postal', 'código postal', 'cep', 'cap'],
  country: ['land', 'pays', 'país', 'paese'],
  birthDate: ['birthday', 'date of birth', 'geburtstag', 'date de naissance'],
  notes: ['comments', 'notizen', 'observaciones'],
  description: ['message', 'comments', 'nachricht', 'mensaje'],
  source: ['lead source', 'quelle', 'origen', 'bron'],
  listPrice: ['price', 'preis', 'prix', 'precio', 'prezzo', 'vraagprijs'],
  bedroomsTotal: ['beds', 'schlafzimmer', 'chambres', 'slaapkamers'],
  bathroomsTotal: ['baths', 'badezimmer', 'baños', 'bagni'],
  livingArea: ['square feet', 'sqft', 'wohnfläche'],
  listingId: ['mls number', 'mls id', 'reference'],
  publicRemarks: ['description', 'remarks', 'beschreibung', 'descripción'],
  subject: ['betreff', 'objet', 'asunto', 'oggetto', 'onderwerp'],
  body: ['note', 'comments'],
  startAt: ['start date', 'start time', 'date'],
  dueOn: ['due date'],
}

const plain = (text: string): string =>
  text
    .normalize('NFD')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '')

/** Each header takes the field whose words are nearest; of two headers for one field the nearer has it. */
function nearest(
  similarity: (a: string, b: string) => number,
  least: number,
  more: Readonly<Record<string, readonly string[]>>,
): Baseline {
  return (headers, type) => {
    const fields = mappableNames(type).map((name) => ({
      name,
      words: [name, fieldOf(type, name)?.label ?? name, ...(more[name] ?? [])].map(plain),
    }))
    const pairs = headers
      .flatMap((header, column) =>
        fields.map(({ name, words }) => ({
          column,
          name,
          score: Math.max(...words.map((word) => similarity(plain(header), word))),
        })),
      )
      .filter(({ score }) => score >= least)
      .toSorted((a, b) => b.score - a.score)
    const chosen = new Map<number, string>()
    const taken = new Set<string>()
    for (const { column, name } of pairs) {
      if (!chosen.has(column) && !taken.has(name)) {
        chosen.set(column, name)
        taken.add(name)
      }
    }
    return headers.map((_, column) => chosen.get(column) ?? null)
  }
}

/** 1 for equal texts, 0 for nothing in common. */
function levenshtein(a: string, b: string): number {
  return 1 - distance(a, b) / Math.max(a.length, b.length, 1)
}

/** 1 for equal texts, 0 for nothing in common; a common beginning counts more. */
export function jaroWinkler(a: string, b: string): number {
  if (a === '' || b === '') {
    return 0
  }
  const reach = Math.max(0, Math.floor(Math.max(a.length, b.length) / 2) - 1)
  const used = new Set<number>()
  const common: string[] = []
  for (let at = 0; at < a.length; at++) {
    for (let other = Math.max(0, at - reach); other <= Math.min(b.length - 1, at + reach); other++) {
      if (!used.has(other) && a[at] === b[other]) {
        used.add(other)
        common.push(a.charAt(at))
        break
      }
    }
  }
  if (common.length === 0) {
    return 0
  }
  const inOrder = [...used].toSorted((x, y) => x - y).map((at) => b[at])
  const swapped = common.filter((character, at) => character !== inOrder[at]).length / 2
  const m = common.length
  const jaro = (m / a.length + m / b.length + (m - swapped) / m) / 3
  let prefix = 0
  while (prefix < PREFIX_LENGTH && prefix < a.length && a[prefix] === b[prefix]) {
    prefix += 1
  }
  return jaro + prefix * PREFIX_WEIGHT * (1 - jaro)
}

/** By the names under which they are reported. */
export const baselines: Readonly<Record<string, Baseline>> = {
  'exact match': nearest((a, b) => (a === b ? 1 : 0), 1, {}),
  Levenshtein: nearest(levenshtein, LEVENSHTEIN_MIN, {}),
  'Jaro-Winkler, aliases': nearest(jaroWinkler, JARO_WINKLER_MIN, aliases),
}
