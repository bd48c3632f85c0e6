/** Headers that are no synonym as they stand: other words, other order, cut short, glued together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { suggestMapping } from '../../../src/pipeline/suggest.js'
import { recordTypes } from '../../../src/records/index.js'
import type { RecordTypeName } from '../../../src/records/types.js'

function field(type: RecordTypeName, name: string, ...samples: string[]): string | null {
  const column = { index: 0, name, kind: 'TEXT' as const, kindConfidence: 0, fillRate: 1, samples }
  return suggestMapping({ type: recordTypes[type], columns: [column], minConfidence: 0.9 })[0]!.field
}

test('the order of words, their endings and small words do not matter', () => {
  assert.equal(field('contact', 'Tel. (Mobile)'), 'mobilePhone')
  assert.equal(field('contact', 'Date of Last Modification'), 'sourceUpdatedAt')
  assert.equal(field('property', 'Precio de la venta'), 'listPrice')
  assert.equal(field('activity', 'Réalisée le'), 'completedAt')
})

test('words cut short are read in full where they can mean one field alone', () => {
  assert.equal(field('contact', 'Nachn.'), 'lastName')
  assert.equal(field('contact', 'Tel. gesch.'), 'phone')
  assert.equal(field('property', 'Surf. terrain'), 'lotSizeArea')
  assert.equal(field('property', 'Vraagpr.'), 'listPrice')
  assert.equal(field('contact', 'Ind.'), null, 'industria or indirizzo')
})

test('compounds are read by their parts', () => {
  assert.equal(field('property', 'Objektbaujahr'), 'yearBuilt')
  assert.equal(field('contact', 'Kundentelefon'), 'phone')
  assert.equal(field('lead', 'Aanvraagnr.'), 'externalId')
})

test('what a slash joins is one field only if both sides are', () => {
  assert.equal(field('contact', 'Town/City'), 'city')
  assert.equal(field('contact', 'Tel./Fax'), null)
})

test('the number of the record itself is its id, that of another is not', () => {
  assert.equal(field('lead', 'N° demande'), 'externalId')
  assert.equal(field('contact', 'Kd.-Nr.'), 'externalId')
  assert.equal(field('contact', 'Deal number'), null)
})

test('questions of forms are read by what they ask for', () => {
  assert.equal(field('lead', '¿Cuál es tu correo electrónico?'), 'email')
  assert.equal(field('lead', 'Bitte geben Sie Ihre E-Mail-Adresse an'), 'email')
  assert.equal(field('lead', 'Wat is uw maximale budget?'), 'budgetMax')
  assert.equal(field('lead', 'Is this your email?'), null)
})

test('questions in whole sentences are read by what they ask for, not by their wording', () => {
  assert.equal(field('lead', 'How many bedrooms do you need?', '3', '2', '4'), 'bedroomsTotal')
  assert.equal(field('lead', '¿A qué teléfono te llamamos?', '611 22 33 44', '622 33 44 55', '633 44 55 66'), 'phone')
  assert.equal(field('lead', 'Wann möchten Sie umziehen?', 'sofort', 'in 3 Monaten', 'flexibel'), 'timeframe')
  assert.equal(field('lead', 'Vous souhaitez acheter ou louer ?', 'Acheter', 'Louer', 'Acheter'), 'transactionType')
  assert.equal(field('lead', 'Até quanto pretende investir?', 'R$ 300.000', 'R$ 450.000', 'R$ 250.000'), 'budgetMax')
  assert.equal(field('lead', 'Come ci hai conosciuto?', 'Google', 'Immobiliare.it', 'Un amico'), 'source')
  assert.equal(
    field('lead', 'Wat voor soort woning zoekt u?', 'Appartement', 'Tussenwoning', 'Hoekwoning'),
    'propertyType',
  )
  assert.equal(field('contact', 'When were you born?', '1980-01-02', '1990-03-04', '1975-05-06'), 'birthDate')
})

test('a question for yes or no is no field, and one about somebody else is none of the person', () => {
  assert.equal(field('lead', 'Have you been pre-approved for a mortgage?', 'Yes', 'No', 'Yes'), null)
  assert.equal(field('lead', 'Do you need to sell before you buy?', 'Yes', 'No', 'Yes'), null)
  assert.equal(field('lead', 'When is the best time to call you?', 'Morning', 'Evening', 'Noon'), null)
  assert.equal(field('lead', 'Which lender do you work with?', 'First Bank', 'Union', 'City'), null)
  assert.equal(field('lead', 'How much do you have for a down payment?', '$20,000', '$40,000', '$15,000'), null)
  assert.equal(
    field('lead', 'What is your agent’s phone number?', '555 010 2030', '555 010 2031', '555 010 2032'),
    null,
  )
})

test('a header that lists choices is the field that has them', () => {
  assert.equal(field('lead', 'Hot/Warm/Cold', 'Hot', 'Cold', 'Warm'), 'rating')
  assert.equal(field('activity', 'Inbound/Outbound', 'Inbound', 'Outbound', 'Inbound'), 'direction')
  assert.equal(field('lead', 'Landline/Mobile', 'Mobile', 'Landline', 'Mobile'), null)
})

test('an idle last word changes nothing where the rest is known', () => {
  assert.equal(field('lead', 'lead_stage_name', 'New', 'Contacted', 'Qualified'), 'status')
  assert.equal(field('lead', 'max_budget_amount', '300000', '450000', '250000'), 'budgetMax')
  assert.equal(field('property', 'Seller’s phone', '555 010 2030', '555 010 2031', '555 010 2032'), 'ownerPhone')
  assert.equal(field('lead', 'Broker name', 'Ann Lee', 'Bo Ray', 'Cy Day'), null)
})

test('a word that only says more about another one says nothing alone', () => {
  assert.equal(field('contact', 'Letzte Änd.'), 'sourceUpdatedAt')
  assert.equal(field('contact', 'Latest'), null)
  assert.equal(field('lead', 'Deal value'), null)
  assert.equal(field('activity', 'Realizada'), null, 'whether, not when')
})

test('known columns without a place are no near misses of fields', () => {
  assert.equal(field('property', 'Suítes', '1', '2', '3'), null)
  assert.equal(field('contact', 'IBAN'), null)
  assert.equal(field('lead', 'Wunschort', 'Ulm', 'Köln', 'Bonn'), null)
})

test('of two fields that a word is known for, the values choose', () => {
  assert.equal(field('property', 'Condomínio', '1041', '718', '841'), 'associationFee')
  assert.equal(field('property', 'Condomínio', 'Vila Nova', 'Jardim Sul', 'Alto da Serra'), 'subdivisionName')
  assert.equal(
    field(
      'contact',
      'Profil',
      'https://www.linkedin.com/in/ana',
      'https://www.linkedin.com/in/bo',
      'https://www.linkedin.com/in/cy',
    ),
    'linkedinUrl',
  )
  assert.equal(
    field(
      'contact',
      'Website',
      'https://www.linkedin.com/in/ana',
      'https://www.linkedin.com/in/bo',
      'https://www.linkedin.com/in/cy',
    ),
    null,
  )
  assert.equal(field('lead', 'Estado', 'Jalisco', 'Puebla', 'Sonora'), 'stateOrProvince')
  assert.equal(field('lead', 'Estado', 'Contactado', 'Perdida', 'Nueva'), 'status')
})

test('names of firms are no names of people', () => {
  assert.equal(field('contact', 'Last name', 'Keller GmbH', 'Acme Realty LLC', 'Casa Bella S.r.l.'), null)
})

test('values that a field cannot have take a clear header back', () => {
  assert.equal(field('contact', 'Email', 'opted in', 'opted out', 'opted in'), null)
  assert.equal(field('contact', 'Company', 'Yes', 'No', 'Yes'), null)
  assert.equal(field('contact', 'Notes', 'ja', 'nein', 'ja'), null)
  assert.equal(field('contact', 'First name', 'Ana Keller', 'Bo Ort', 'Cy Dijk'), null)
  assert.equal(field('property', 'Unit', 'sqft', 'sqm', 'sqft'), null)
  assert.equal(field('activity', 'Direction', 'North', 'South', 'East'), null)
  assert.equal(field('lead', 'Type', 'Condo', 'House', 'Villa'), 'propertyType')
  assert.equal(field('lead', 'Type', 'Buyer', 'Seller', 'Buyer'), 'leadType')
})

test('reasons name the word that was recognised', () => {
  const column = { index: 0, name: 'Tel. gesch.', kind: 'TEXT' as const, kindConfidence: 0, fillRate: 1, samples: [] }
  const [entry] = suggestMapping({ type: recordTypes.contact, columns: [column], minConfidence: 0.9 })
  assert.match(entry!.reasons[0]!, /^“Tel\. gesch\.” looks like a short form of “.+”, which is Phone\.$/)
})

test('what is not wanted is no number, and what somebody else has is not the record’s', () => {
  assert.equal(field('contact', 'Newsletter (Y/N)', 'Y', 'N', 'Y'), null)
  assert.equal(field('contact', 'NOK Phone', '+44 1865 558 112', '+44 1865 558 113', '+44 1865 558 114'), null)
  assert.equal(field('lead', 'Lead : Keyword', 'condo', 'loft'), null)
  assert.equal(field('lead', 'Inquiry Address', '12 Oak St', '9 Elm Dr'), null)
})

test('categories before a header, ordinals and the ids of systems are understood', () => {
  assert.equal(field('contact', 'Phone (work fax)'), 'fax')
  assert.equal(field('contact', 'Social - LinkedIn'), 'linkedinUrl')
  assert.equal(field('contact', '2e mailadres'), 'secondaryEmail')
  assert.equal(field('contact', 'Copper ID'), 'externalId')
  assert.equal(field('contact', 'Campaign ID'), null)
  assert.equal(field('contact', 'Naam huurder'), 'displayName')
})

test('what a lead wishes for is what the fields of a lead say', () => {
  assert.equal(field('lead', 'Quartos desejados'), 'bedroomsTotal')
  assert.equal(field('lead', 'Voorkeur woningtype'), 'propertyType')
  assert.equal(field('lead', 'Desired city', 'Austin', 'Tampa'), null)
})

test('of an e-mail address at home and one at work the first is the main one', () => {
  const mapped = (...names: string[]): (string | null)[] =>
    suggestMapping({
      type: recordTypes.contact,
      columns: names.map((name, index) => ({
        index,
        name,
        kind: 'TEXT' as const,
        kindConfidence: 0,
        fillRate: 1,
        samples: [`a${index}@example.com`, `b${index}@example.com`],
      })),
      minConfidence: 0.9,
    }).map((entry) => entry.field)
  assert.deepEqual(mapped('Email (home)', 'Email (work)'), ['email', 'secondaryEmail'])
  assert.deepEqual(mapped('Email (work)', 'Email (home)'), ['email', 'secondaryEmail'])
})
