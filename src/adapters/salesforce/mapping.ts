/** Where Salesforce's own fields go here, with the words of their picklists; the maps of words are what a person can change. */
import type { ColumnMapping, TransformCall } from '../../pipeline/types.js'
import type { RecordTypeName } from '../../records/types.js'
import type { VendorObject } from '../vendor.js'
import { TASK_STATES } from './derive.js'
import { isPropertyLike } from './directory.js'

/** Where one column goes. A text alone is the field; `null` with a reason is a column that has no place. */
interface Place {
  readonly field: string | null
  readonly reason: string
  readonly words?: Readonly<Record<string, string>>
  readonly transforms?: readonly TransformCall[]
  readonly otherwise?: string
}

type Places = Readonly<Record<string, Place>>

const to = (field: string, reason = 'The same in Salesforce.', more: Partial<Place> = {}): Place => ({
  field,
  reason,
  ...more,
})
const none = (reason: string): Place => ({ field: null, reason })

const SYSTEM = 'Salesforce keeps it for itself.'
const OWN_FIELD = 'There is no such field here; a custom field can hold it.'

/** What all objects have. */
const COMMON: Places = {
  Id: to('externalId', 'The record’s id in Salesforce.'),
  CreatedDate: to('sourceCreatedAt', 'When it was made in Salesforce.'),
  SystemModstamp: to('sourceUpdatedAt', 'When anyone or anything changed it in Salesforce last.'),
  'portage.ownerEmail': to('ownerEmail', 'E-mail of the user who owns it; queues have none.'),
  OwnerId: none('The owner is found by e-mail (portage.ownerEmail).'),
  IsDeleted: none('Deleted records are deleted here, not imported.'),
  MasterRecordId: none('Tells which record it was merged into.'),
  CreatedById: none(SYSTEM),
  LastModifiedDate: none('SystemModstamp says more.'),
  LastModifiedById: none(SYSTEM),
  LastViewedDate: none(SYSTEM),
  LastReferencedDate: none(SYSTEM),
  LastActivityDate: none('Comes of the activities themselves.'),
  RecordTypeId: none('An id without meaning elsewhere; map it to a type by its words if it carries one.'),
  CurrencyIsoCode: none(OWN_FIELD),
  PhotoUrl: none('Leads into Salesforce.'),
  Jigsaw: none(SYSTEM),
  JigsawContactId: none(SYSTEM),
  JigsawCompanyId: none(SYSTEM),
  CleanStatus: none(SYSTEM),
  EmailBouncedReason: none(OWN_FIELD),
  EmailBouncedDate: none(OWN_FIELD),
  IsEmailBounced: none(OWN_FIELD),
  IndividualId: none(SYSTEM),
  DandbCompanyId: none(SYSTEM),
}

const address = (prefix: string): Places => ({
  [`${prefix}Street`]: to('addressLine1', 'Lines of a street are joined.', {
    transforms: [{ name: 'joinLines', arguments: [] }],
  }),
  [`${prefix}City`]: to('city'),
  [`${prefix}State`]: to('stateOrProvince'),
  [`${prefix}PostalCode`]: to('postalCode'),
  [`${prefix}Country`]: to('country'),
  [`${prefix}Latitude`]: none(OWN_FIELD),
  [`${prefix}Longitude`]: none(OWN_FIELD),
  [`${prefix}GeocodeAccuracy`]: none(SYSTEM),
})

const without = (reason: string, ...names: readonly string[]): Places =>
  Object.fromEntries(names.map((name) => [name, none(reason)]))

const LEAD_STATES: Readonly<Record<string, string>> = {
  'Open - Not Contacted': 'NEW',
  'Working - Contacted': 'CONTACTED',
  'Closed - Converted': 'CONVERTED',
  'Closed - Not Converted': 'LOST',
  New: 'NEW',
  Contacted: 'CONTACTED',
  Nurturing: 'NURTURING',
  Qualified: 'QUALIFIED',
  Unqualified: 'UNQUALIFIED',
  CONVERTED: 'CONVERTED',
}

const RATINGS = { Hot: 'HOT', Warm: 'WARM', Cold: 'COLD' }

const CONTACT: Places = {
  Salutation: to('namePrefix'),
  FirstName: to('firstName'),
  MiddleName: to('middleName'),
  LastName: to('lastName'),
  Suffix: to('nameSuffix'),
  Name: to('displayName', 'First and last name, as Salesforce joins them.'),
  ...address('Mailing'),
  ...without(OWN_FIELD, 'OtherStreet', 'OtherCity', 'OtherState', 'OtherPostalCode', 'OtherCountry'),
  ...without(SYSTEM, 'OtherLatitude', 'OtherLongitude', 'OtherGeocodeAccuracy'),
  Phone: to('phone'),
  Fax: to('fax'),
  MobilePhone: to('mobilePhone'),
  HomePhone: to('homePhone'),
  ...without(OWN_FIELD, 'OtherPhone', 'AssistantPhone', 'AssistantName', 'ReportsToId'),
  Email: to('email'),
  Title: to('jobTitle', 'The position; the title before the name is Salutation.'),
  Department: to('department'),
  LeadSource: to('source'),
  Birthdate: to('birthDate'),
  Description: to('notes'),
  HasOptedOutOfEmail: to('emailOptOut'),
  DoNotCall: to('doNotCall'),
  HasOptedOutOfFax: none(OWN_FIELD),
  AccountId: none('The account is linked as a record (portage.organization).'),
  'portage.organization': to('organization.externalId', 'The account that the person belongs to.'),
  IsPersonAccount: none('A person account is imported as this one contact.'),
  LastCURequestDate: none(SYSTEM),
  LastCUUpdateDate: none(SYSTEM),
}

const ACCOUNT: Places = {
  Name: to('companyName', 'The name of an organization.'),
  Type: to('contactType'),
  ...address('Billing'),
  ...without(OWN_FIELD, 'ShippingStreet', 'ShippingCity', 'ShippingState', 'ShippingPostalCode', 'ShippingCountry'),
  ...without(SYSTEM, 'ShippingLatitude', 'ShippingLongitude', 'ShippingGeocodeAccuracy'),
  Phone: to('phone'),
  Fax: to('fax'),
  Website: to('website'),
  Industry: to('industry'),
  AccountSource: to('source'),
  Description: to('notes'),
  ...without(
    OWN_FIELD,
    'ParentId',
    'AccountNumber',
    'Sic',
    'SicDesc',
    'AnnualRevenue',
    'NumberOfEmployees',
    'Ownership',
    'TickerSymbol',
    'Rating',
    'Site',
    'DunsNumber',
    'Tradestyle',
    'NaicsCode',
    'NaicsDesc',
    'YearStarted',
  ),
  ...without(
    SYSTEM,
    'IsPartner',
    'IsCustomerPortal',
    'ChannelProgramName',
    'ChannelProgramLevelName',
    'OperatingHoursId',
  ),
  IsPersonAccount: none('Person accounts are imported as contacts.'),
  PersonContactId: none('Person accounts are imported as contacts.'),
}

const LEAD: Places = {
  Salutation: to('namePrefix'),
  FirstName: to('firstName'),
  LastName: to('lastName'),
  Name: to('displayName', 'First and last name, as Salesforce joins them.'),
  Title: to('jobTitle', 'The position; the title before the name is Salutation.'),
  Company: to('companyName'),
  ...address(''),
  Phone: to('phone'),
  MobilePhone: to('mobilePhone'),
  Fax: none(OWN_FIELD),
  Email: to('email'),
  Website: to('website'),
  Description: to('description'),
  LeadSource: to('source'),
  Industry: to('industry'),
  Rating: to('rating', 'The same three words.', { words: RATINGS }),
  Status: none('Read with what says that the lead was converted (portage.status).'),
  'portage.status': to('status', 'Salesforce’s status; CONVERTED for converted leads.', { words: LEAD_STATES }),
  HasOptedOutOfEmail: to('emailOptOut'),
  DoNotCall: none(OWN_FIELD),
  ConvertedDate: to('convertedAt', 'Salesforce keeps the day.'),
  'portage.contact': to('contact.externalId', 'The contact that the lead was converted to.'),
  ...without('Linked as records once converted (portage.contact).', 'IsConverted', 'ConvertedContactId'),
  ...without(
    'The account and the opportunity are records of their own.',
    'ConvertedAccountId',
    'ConvertedOpportunityId',
  ),
  ...without(OWN_FIELD, 'AnnualRevenue', 'NumberOfEmployees', 'CompanyDunsNumber'),
  IsUnreadByOwner: none(SYSTEM),
}

const OPPORTUNITY: Places = {
  Name: to('title'),
  Description: to('description'),
  'portage.status': to('status', 'CONVERTED if won, LOST if closed otherwise, QUALIFIED while open.', {
    words: { CONVERTED: 'CONVERTED', LOST: 'LOST', QUALIFIED: 'QUALIFIED' },
  }),
  StageName: to('sourceDetail', 'The stage as the organization calls it.'),
  LeadSource: to('source'),
  CloseDate: to('expectedCloseDate', 'The day on which the deal closes.'),
  'portage.contact': to('contact.externalId', 'The person, or else the account.'),
  'portage.displayName': to('displayName', 'The name of an opportunity that has neither contact nor account.'),
  'portage.property': to('property.externalId', 'The property that it refers to.'),
  ...without('Read together (portage.status).', 'IsClosed', 'IsWon'),
  ...without('Linked as a record (portage.contact).', 'AccountId', 'ContactId', 'Account.PersonContactId'),
  ...without(
    OWN_FIELD,
    'Amount',
    'Probability',
    'ExpectedRevenue',
    'TotalOpportunityQuantity',
    'Type',
    'NextStep',
    'CampaignId',
  ),
  ...without(
    SYSTEM,
    'IsPrivate',
    'ForecastCategory',
    'ForecastCategoryName',
    'HasOpportunityLineItem',
    'Pricebook2Id',
    'LastStageChangeDate',
    'FiscalQuarter',
    'FiscalYear',
    'Fiscal',
    'HasOpenActivity',
    'HasOverdueTask',
    'LastAmountChangedHistoryId',
    'LastCloseDateChangedHistoryId',
  ),
}

const LINKS: Places = {
  'portage.contact': to('contact.externalId', 'The person that it is about, or else the account.'),
  'portage.lead': to('lead.externalId', 'The lead that it is about, or else the opportunity.'),
  'portage.property': to('property.externalId', 'The property that it is about.'),
  'portage.other': none('What it is about besides; an activity here has one contact, one lead and one property.'),
  ...without(
    'Linked as records (portage.contact, portage.lead, portage.property).',
    'WhoId',
    'WhatId',
    'AccountId',
    'Account.PersonContactId',
  ),
  Subject: to('subject'),
  Description: to('body'),
  ...without(
    'A series is imported as its single activities.',
    'RecurrenceActivityId',
    'IsRecurrence',
    'RecurrenceStartDateOnly',
    'RecurrenceStartDateTime',
    'RecurrenceEndDateOnly',
    'RecurrenceTimeZoneSidKey',
    'RecurrenceType',
    'RecurrenceInterval',
    'RecurrenceDayOfWeekMask',
    'RecurrenceDayOfMonth',
    'RecurrenceInstance',
    'RecurrenceMonthOfYear',
    'RecurrenceRegeneratedType',
    'IsRecurrence2Exclusion',
    'Recurrence2PatternText',
    'Recurrence2PatternVersion',
    'IsRecurrence2',
    'IsRecurrence2Exception',
    'Recurrence2PatternStartDate',
    'Recurrence2PatternTimeZone',
  ),
  ...without(SYSTEM, 'IsArchived', 'ReminderDateTime', 'IsReminderSet'),
}

const TASK: Places = {
  ...LINKS,
  TaskSubtype: to('type', 'The kind of task.', {
    words: {
      Task: 'TASK',
      Call: 'CALL',
      Email: 'EMAIL',
      ListEmail: 'EMAIL',
      LinkedIn: 'OTHER',
      Cadence: 'TASK',
    },
    otherwise: 'TASK',
  }),
  ActivityDate: to('dueOn', 'A day, in no time zone.'),
  'portage.status': to('status', 'Salesforce’s status; of words that are not known, closed ones are COMPLETED.', {
    words: TASK_STATES,
  }),
  Priority: to('priority', 'The same three words.', { words: { High: 'HIGH', Normal: 'NORMAL', Low: 'LOW' } }),
  CallDurationInSeconds: to('durationSeconds'),
  CallType: to('direction', 'Which way the call went.', {
    words: { Inbound: 'INBOUND', Outbound: 'OUTBOUND', Internal: 'INTERNAL' },
  }),
  CallDisposition: to('outcome'),
  CompletedDateTime: to('completedAt'),
  ...without('Read together (portage.status).', 'Status', 'IsClosed'),
  IsHighPriority: none('Told by the priority.'),
  CallObject: none(SYSTEM),
}

const EVENT: Places = {
  ...LINKS,
  Location: to('location'),
  'portage.status': to('status', 'COMPLETED once it has ended.', {
    words: { PLANNED: 'PLANNED', COMPLETED: 'COMPLETED' },
  }),
  'portage.startAt': to('startAt', 'Its start, unless it takes all day.'),
  'portage.endAt': to('endAt', 'Its end, unless it takes all day.'),
  'portage.dueOn': to('dueOn', 'Its day, if it takes all day; in no time zone.'),
  DurationInMinutes: to('durationSeconds', 'Salesforce counts minutes.', {
    transforms: [{ name: 'multiply', arguments: [{ name: 'by', value: '60' }] }],
  }),
  ...without(
    'Read together (portage.startAt, portage.endAt, portage.dueOn).',
    'IsAllDayEvent',
    'ActivityDateTime',
    'ActivityDate',
    'StartDateTime',
    'EndDateTime',
    'EndDate',
  ),
  ...without(SYSTEM, 'IsPrivate', 'ShowAs', 'IsChild', 'IsGroupEvent', 'GroupEventType', 'EventSubtype'),
}

const NATIVE: Readonly<Record<string, { readonly type: RecordTypeName; readonly places: Places }>> = {
  Contact: { type: 'contact', places: CONTACT },
  Account: { type: 'contact', places: ACCOUNT },
  Lead: { type: 'lead', places: LEAD },
  Opportunity: { type: 'lead', places: OPPORTUNITY },
  Task: { type: 'activity', places: TASK },
  Event: { type: 'activity', places: EVENT },
}

/** What every record of an object is, which no column says. */
const CONSTANTS: Readonly<Record<string, { readonly field: string; readonly value: string; readonly reason: string }>> =
  {
    Contact: { field: 'kind', value: 'PERSON', reason: 'Contacts of Salesforce are people.' },
    Account: {
      field: 'kind',
      value: 'ORGANIZATION',
      reason: 'Accounts are organizations; person accounts come as contacts.',
    },
    Event: { field: 'type', value: 'MEETING', reason: 'Events are meetings.' },
  }

const PROPERTY_STATES: Readonly<Record<string, string>> = {
  Active: 'ACTIVE',
  Available: 'ACTIVE',
  'For Sale': 'ACTIVE',
  'Active Under Contract': 'ACTIVE_UNDER_CONTRACT',
  'Under Agreement': 'ACTIVE_UNDER_CONTRACT',
  'Under Contract': 'ACTIVE_UNDER_CONTRACT',
  Canceled: 'CANCELED',
  Cancelled: 'CANCELED',
  Closed: 'CLOSED',
  Sold: 'CLOSED',
  'Coming Soon': 'COMING_SOON',
  'Pre Market': 'COMING_SOON',
  Delete: 'DELETE',
  Expired: 'EXPIRED',
  Hold: 'HOLD',
  Incomplete: 'INCOMPLETE',
  Contracted: 'INCOMPLETE',
  Pending: 'PENDING',
  Withdrawn: 'WITHDRAWN',
}

/** Names of custom fields, without case, space and punctuation: those of the RESO Data Dictionary and what stands for them. */
const PROPERTY_NAMES: Readonly<Record<string, readonly string[]>> = {
  listingId: ['listingid', 'mlsnumber', 'mlsid', 'mls', 'mlsno', 'listingnumber'],
  parcelNumber: ['parcelnumber', 'parcelid', 'apn', 'taxid'],
  standardStatus: ['standardstatus', 'status', 'listingstatus', 'propertystatus', 'mlsstatus'],
  propertyType: ['propertytype', 'type', 'listingtype'],
  propertySubType: ['propertysubtype', 'subtype'],
  transactionType: ['transactiontype'],
  listPrice: ['listprice', 'price', 'askingprice', 'listingprice'],
  originalListPrice: ['originallistprice', 'originalprice'],
  closePrice: ['closeprice', 'pricesold', 'soldprice', 'saleprice'],
  leaseAmount: ['leaseamount', 'rent', 'monthlyrent', 'rentamount'],
  currency: ['currencyisocode', 'currency', 'currencycode'],
  addressLine1: ['unparsedaddress', 'address', 'street', 'streetaddress', 'propertyaddress', 'addressline1'],
  addressLine2: ['addressline2', 'street2'],
  unitNumber: ['unitnumber', 'unitno', 'apartment'],
  city: ['city', 'town'],
  countyOrParish: ['countyorparish', 'county'],
  stateOrProvince: ['stateorprovince', 'state', 'province', 'region'],
  postalCode: ['postalcode', 'zip', 'zipcode', 'postcode'],
  country: ['country'],
  subdivisionName: ['subdivisionname', 'subdivision', 'neighborhood'],
  latitude: ['latitude', 'locationlatitude', 'geolocationlatitude'],
  longitude: ['longitude', 'locationlongitude', 'geolocationlongitude'],
  roomsTotal: ['roomstotal', 'rooms'],
  bedroomsTotal: ['bedroomstotal', 'beds', 'bedrooms', 'bedstotal'],
  bathroomsTotal: ['bathroomstotal', 'baths', 'bathrooms', 'bathroomstotalinteger', 'bathstotal'],
  bathroomsFull: ['bathroomsfull', 'fullbaths'],
  bathroomsHalf: ['bathroomshalf', 'halfbaths'],
  livingArea: ['livingarea', 'squarefeet', 'sqft', 'squarefootage', 'buildingareatotal'],
  livingAreaUnits: ['livingareaunits'],
  lotSizeArea: ['lotsizearea', 'lotsize', 'lotsizeacres'],
  lotSizeUnits: ['lotsizeunits'],
  yearBuilt: ['yearbuilt'],
  stories: ['stories', 'storeys'],
  garageSpaces: ['garagespaces', 'garage'],
  parkingTotal: ['parkingtotal', 'parkingspaces'],
  associationFee: ['associationfee', 'hoafee'],
  taxAnnualAmount: ['taxannualamount', 'annualtax'],
  listingContractDate: ['listingcontractdate', 'datelisted', 'listdate', 'listingdate'],
  onMarketDate: ['onmarketdate'],
  closeDate: ['closedate', 'dateclosed', 'solddate'],
  expirationDate: ['expirationdate', 'expirydate'],
  daysOnMarket: ['daysonmarket', 'dom'],
  publicRemarks: ['publicremarks', 'description', 'remarks'],
  privateRemarks: ['privateremarks', 'agentremarks'],
  listingUrl: ['listingurl', 'url'],
  virtualTourUrl: ['virtualtoururl', 'virtualtoururlunbranded', 'virtualtour'],
  tags: ['tags'],
  ownerName: ['ownername'],
  ownerPhone: ['ownerphone'],
  listAgentName: ['listagentfullname', 'listagentname', 'agentname'],
  listAgentEmail: ['listagentemail', 'agentemail'],
  listAgentPhone: ['listagentdirectphone', 'agentphone'],
  listOfficeName: ['listofficename'],
}

const NAMED = new Map(Object.entries(PROPERTY_NAMES).flatMap(([field, names]) => names.map((name) => [name, field])))

/** As `VendorAdapter.mapping` has it: the columns that the object really has, then what all of its records are. */
export function mapping(object: VendorObject, recordType: RecordTypeName): readonly ColumnMapping[] | null {
  const native = NATIVE[object.name]
  if (native !== undefined) {
    return native.type === recordType ? entries(object, { ...COMMON, ...native.places }) : null
  }
  return recordType === 'property' && isPropertyLike(object) ? entries(object, properties(object)) : null
}

function entries(object: VendorObject, places: Places): readonly ColumnMapping[] {
  const kinds = new Map(object.fields.map(({ name, kind }) => [name, kind]))
  const constant = CONSTANTS[object.name]
  return [
    ...object.fields.flatMap(({ name }) => {
      const place = places[name]
      return place === undefined ? [] : [entry(name, place, kinds.get(name) ?? 'TEXT')]
    }),
    ...(constant === undefined
      ? []
      : [{ ...entry(null, to(constant.field, constant.reason), 'TEXT'), constant: constant.value }]),
  ]
}

function entry(column: string | null, place: Place, kind: string): ColumnMapping {
  const { field, reason, words = {}, transforms = [], otherwise = null } = place
  return {
    column,
    columnIndex: null,
    field,
    constant: null,
    defaultValue: otherwise,
    ...(transforms.length === 0 ? {} : { transforms }),
    valueMap: Object.entries(words).map(([from, word]) => ({ from, to: word })),
    onBlank: null,
    // Salesforce writes numbers one way; values like 30.267 alone would leave that open.
    format: field !== null && ['DECIMAL', 'MONEY', 'INTEGER'].includes(kind) ? '1234.56' : null,
    confidence: 1,
    reasons: [reason],
    alternatives: [],
  }
}

/** Places of a custom object's fields by what they are called; the first field of several that mean the same has the place. */
function properties(object: VendorObject): Places {
  const places: Record<string, Place> = { ...COMMON, Name: to('name') }
  const taken = new Set<string>()
  for (const { name, calculated, custom } of object.fields) {
    const field = custom ? NAMED.get(plainName(name)) : name === 'CurrencyIsoCode' ? 'currency' : undefined
    if (field === undefined) {
      continue
    }
    if (calculated) {
      places[name] = none('Salesforce computes it, and does not tell when it changes.')
    } else if (taken.has(field)) {
      places[name] = none(`Another column goes to ${field} already.`)
    } else {
      taken.add(field)
      const words = field === 'standardStatus' ? { words: PROPERTY_STATES } : {}
      places[name] = to(field, 'Its name means the same in the RESO Data Dictionary.', words)
    }
  }
  return places
}

/** `ns__List_Price__c` as `listprice`, `Location__Latitude__s` as `locationlatitude`. */
function plainName(name: string): string {
  const own = name.replace(/__[cs]$/, '')
  const [first, ...rest] = own.split('__')
  const withoutNamespace = rest.length > 0 && name.endsWith('__c') ? rest.join('') : [first, ...rest].join('')
  return withoutNamespace.replaceAll(/[^A-Za-z0-9]/g, '').toLowerCase()
}
