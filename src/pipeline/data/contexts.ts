/**
 * Headers that mean one thing or another depending on the columns beside them. `Name` is a family name where there is
 * a column for given names and none for family names, and a whole name elsewhere.
 */
import type { RecordTypeName } from '../../records/types.js'

export interface ContextRule {
  readonly types: readonly RecordTypeName[]
  /** Headers, separated by commas. */
  readonly headers: string
  /** Fields that another column must name outright. */
  readonly has: readonly string[]
  /** Fields that no other column may name outright. */
  readonly lacks: readonly string[]
  readonly field: string
  /** By the header alone, and when the values agree. */
  readonly confidence: readonly [number, number]
}

const NAME = 'name, nom, nombre, nome, naam, contact name, nom du contact'

export const CONTEXT_RULES: readonly ContextRule[] = [
  // Who fills in a form is its user; in a file that has the person's address, the user is a colleague.
  {
    types: ['contact', 'lead'],
    headers: 'user email, user e-mail address',
    has: [],
    lacks: ['email'],
    field: 'email',
    confidence: [0.92, 0.95],
  },
  {
    types: ['contact', 'lead'],
    headers: 'user email, user e-mail address',
    has: ['email'],
    lacks: [],
    field: 'ownerEmail',
    confidence: [0.92, 0.95],
  },
  {
    types: ['property', 'activity'],
    headers: 'user email, user e-mail address',
    has: [],
    lacks: [],
    field: 'ownerEmail',
    confidence: [0.93, 0.97],
  },
  {
    types: ['contact', 'lead'],
    headers: 'user phone, user phone number',
    has: [],
    lacks: ['phone'],
    field: 'phone',
    confidence: [0.92, 0.95],
  },
  {
    types: ['contact', 'lead'],
    headers: NAME,
    has: ['firstName'],
    lacks: ['lastName'],
    field: 'lastName',
    confidence: [0.92, 0.95],
  },
  {
    types: ['contact', 'lead'],
    headers: NAME,
    has: ['lastName'],
    lacks: ['firstName'],
    field: 'firstName',
    confidence: [0.92, 0.95],
  },
  {
    types: ['contact', 'lead'],
    headers: NAME,
    has: ['firstName', 'lastName'],
    lacks: [],
    field: 'displayName',
    confidence: [0.93, 0.97],
  },
  {
    types: ['contact', 'lead'],
    headers: NAME,
    has: [],
    lacks: ['firstName', 'lastName'],
    field: 'displayName',
    confidence: [0.93, 0.97],
  },
  {
    types: ['contact'],
    headers: 'title',
    has: ['jobTitle'],
    lacks: ['namePrefix'],
    field: 'namePrefix',
    confidence: [0.9, 0.95],
  },
  {
    types: ['lead'],
    headers: 'title, titel, titre, título, titolo',
    has: ['jobTitle'],
    lacks: [],
    field: 'title',
    confidence: [0.93, 0.97],
  },
  {
    types: ['lead'],
    headers: 'title, titel, titre, título, titolo',
    has: [],
    lacks: ['firstName', 'lastName', 'displayName', 'title'],
    field: 'title',
    confidence: [0.92, 0.96],
  },
  {
    types: ['lead'],
    headers: 'title, titel, titre, título, titolo',
    has: ['lastName', 'companyName'],
    lacks: ['jobTitle'],
    field: 'jobTitle',
    confidence: [0.91, 0.94],
  },
  {
    types: ['lead'],
    headers: 'contact email, contact email address, contact e-mail',
    has: [],
    lacks: ['email'],
    field: 'email',
    confidence: [0.92, 0.96],
  },
  {
    types: ['lead'],
    headers:
      'home phone, home phone number, phone home, home telephone, home tel, home number, telefon privat, tel privat, privattelefon, téléphone domicile, tél domicile, téléphone personnel, teléfono particular, tel particular, teléfono de casa, teléfono casa, tel casa, tlf casa, telefone residencial, tel residencial, fone residencial, telefono casa, telefono abitazione, tel abitazione, telefoon thuis, telefoon privé, tel thuis, tel privé',
    has: [],
    lacks: ['phone'],
    field: 'phone',
    confidence: [0.9, 0.94],
  },
  {
    types: ['lead'],
    headers:
      'last note, latest note, recent note, last notes, last comment, latest comment, letzte notiz, dernière note, última nota, ultima nota, laatste notitie',
    has: [],
    lacks: ['description'],
    field: 'description',
    confidence: [0.9, 0.92],
  },
  {
    types: ['contact', 'lead'],
    headers: 'county, county name',
    has: [],
    lacks: ['stateOrProvince'],
    field: 'stateOrProvince',
    confidence: [0.7, 0.95],
  },
  {
    types: ['property'],
    headers:
      'conjunto, conjunto residencial, conjunto edificio, conjunto o edificio, nombre del conjunto, nombre del condominio, nombre del desarrollo, complex, complex name, building complex, condominium name, development name, resort',
    has: [],
    lacks: ['subdivisionName'],
    field: 'subdivisionName',
    confidence: [0.9, 0.93],
  },
  {
    types: ['contact', 'lead', 'property'],
    headers: 'locality',
    has: [],
    lacks: ['city'],
    field: 'city',
    confidence: [0.92, 0.96],
  },
  {
    types: ['property'],
    headers: 'objekttyp, type woning, woningtype, property style, building type, wohnungstyp, haustyp',
    has: ['propertyType'],
    lacks: ['propertySubType'],
    field: 'propertySubType',
    confidence: [0.94, 0.96],
  },
  {
    types: ['property'],
    headers: 'verkoopprijs, sale price, sales price, selling price',
    has: ['listPrice'],
    lacks: ['closePrice'],
    field: 'closePrice',
    confidence: [0.92, 0.95],
  },
  {
    types: ['property'],
    headers: 'broker name, broker, brokerage, broker company, listing broker',
    has: ['listAgentName'],
    lacks: ['listOfficeName'],
    field: 'listOfficeName',
    confidence: [0.94, 0.96],
  },
  {
    types: ['property'],
    headers: 'código, codice, code, nummer, key, cod, kennung, datensatznr',
    has: ['listingId'],
    lacks: ['externalId'],
    field: 'externalId',
    confidence: [0.9, 0.93],
  },
  {
    types: ['contact', 'lead', 'property'],
    headers:
      'street name, straatnaam, strassenname, straßenname, nom de rue, nom de la rue, nombre de la calle, nombre calle, nome da rua, nome via, nome della via',
    has: [],
    lacks: ['addressLine1'],
    field: 'addressLine1',
    confidence: [0.9, 0.94],
  },
  {
    types: ['lead'],
    headers:
      'date, datum, fecha, data, timestamp, time stamp, zeitstempel, horodateur, marca temporal, carimbo de data hora, informazioni cronologiche, tijdstempel, date time, datum uhrzeit, date and time, datum und uhrzeit, date et heure, fecha y hora, data e ora, data e hora, data hora, datum en tijd',
    has: [],
    lacks: ['receivedAt', 'sourceCreatedAt'],
    field: 'receivedAt',
    confidence: [0.9, 0.94],
  },
  {
    types: ['contact'],
    headers:
      'timestamp, time stamp, zeitstempel, horodateur, marca temporal, carimbo de data hora, informazioni cronologiche, tijdstempel',
    has: [],
    lacks: ['sourceCreatedAt'],
    field: 'sourceCreatedAt',
    confidence: [0.9, 0.94],
  },
  {
    types: ['lead'],
    headers: 'title, titel, titre, título, titolo',
    has: ['firstName', 'companyName'],
    lacks: ['jobTitle'],
    field: 'jobTitle',
    confidence: [0.91, 0.94],
  },
  {
    types: ['lead'],
    headers: 'channel, kanal, canal, canale, kanaal, medio, mídia',
    has: [],
    lacks: ['source'],
    field: 'source',
    confidence: [0.9, 0.93],
  },
  {
    types: ['lead'],
    headers: 'budget, presupuesto, orçamento, price budget, budget eur, budgetrahmen, kaufbudget',
    has: [],
    lacks: ['budgetMin', 'budgetMax'],
    field: 'budgetMax',
    confidence: [0.9, 0.94],
  },
  {
    types: ['contact', 'lead'],
    headers:
      'tenant, renter, mieter, huurder, locataire, inquilino, arrendatario, member, mitglied, lid, attendee, registrant, subscriber, client, customer, kunde, cliente, klant, prospect, lead, buyer, contact, kontakt, contacto, contatto, contato, contactpersoon, interessent, acquéreur, acheteur, koper, käufer, comprador, acquirente, persona, person, personne, persoon, who, wer',
    has: [],
    lacks: ['firstName', 'lastName', 'displayName'],
    field: 'displayName',
    confidence: [0.9, 0.94],
  },
  {
    types: ['lead'],
    headers: 'stage, lead stage, pipeline stage, phase, etapa, fase, estágio, étape',
    has: [],
    lacks: ['status'],
    field: 'status',
    confidence: [0.9, 0.96],
  },
  {
    types: ['property'],
    headers: 'código, codice, code, agent ref, our ref, your ref, cod, kennung',
    has: [],
    lacks: ['externalId', 'listingId'],
    field: 'listingId',
    confidence: [0.9, 0.93],
  },
  {
    types: ['contact'],
    headers:
      'código, codice, code, cod, referenz, reference, référence, referencia, referência, riferimento, ref, kennung',
    has: [],
    lacks: ['externalId'],
    field: 'externalId',
    confidence: [0.9, 0.93],
  },
  {
    types: ['lead'],
    headers: 'contact email, contact email address, contact e-mail',
    has: ['email'],
    lacks: [],
    field: 'contact.email',
    confidence: [0.92, 0.96],
  },
  {
    types: ['contact', 'lead', 'property'],
    headers:
      'full address, complete address, unparsed address, vollständige adresse, adresse complète, dirección completa, endereço completo, indirizzo completo, volledig adres',
    has: [],
    lacks: ['addressLine1', 'city', 'postalCode'],
    field: 'addressLine1',
    confidence: [0.91, 0.93],
  },
  {
    types: ['activity'],
    headers: 'date, datum, fecha, data, activity date',
    has: [],
    lacks: ['startAt'],
    field: 'startAt',
    confidence: [0.9, 0.94],
  },
  {
    types: ['activity'],
    headers: 'ActivityDate',
    has: ['status'],
    lacks: ['startAt', 'dueOn'],
    field: 'dueOn',
    confidence: [0.92, 0.95],
  },
]
