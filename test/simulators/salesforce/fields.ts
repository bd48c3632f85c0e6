/**
 * The objects of a simulated Salesforce organization and what their descriptions say of each field: names, types, lengths and
 * references as organizations really have them, a selection, with custom objects of a real-estate agency and some custom
 * fields of our own invention.
 */
import type { Json, Row } from '../common/types.js'

/** A field of an object. */
export interface Field {
  readonly name: string
  readonly type: string
  readonly nillable: boolean
  /** Characters of a text; 18 of an id; 0 of anything else. */
  readonly length: number
  readonly precision: number
  readonly scale: number
  readonly calculated: boolean
  /** The compound field that it is a part of. */
  readonly compound: string | null
  readonly references: readonly string[]
  /** What stands before the dot where a field of the record behind the reference is asked for. */
  readonly relationship: string | null
  readonly values: readonly string[]
}

/** An object of the organization. */
export interface Entity {
  readonly name: string
  /** The first three characters of its ids. */
  readonly prefix: string
  readonly label: string
  readonly plural: string
  readonly fields: readonly Field[]
}

/**
 * One line for each field: name, type (with `?` where it may be null), length or precision.scale, `formula`, `in` the compound
 * field, `->` objects that it can refer to, `as` name of the relationship, values of a picklist in brackets.
 */
const OBJECTS = `
## Lead 00Q Lead Leads
Id id
IsDeleted boolean
MasterRecordId reference? -> Lead as MasterRecord
LastName string 80 in Name
FirstName string? 40 in Name
Salutation picklist? 40 in Name [Mr.|Ms.|Mrs.|Dr.|Prof.|Mx.]
Name string 121
Title string? 128
Company string 255
Street textarea? 255 in Address
City string? 40 in Address
State string? 80 in Address
PostalCode string? 20 in Address
Country string? 80 in Address
Latitude double? 18.15 in Address
Longitude double? 18.15 in Address
Address address?
Phone phone? 40
MobilePhone phone? 40
Fax phone? 40
Email email? 80
Website url? 255
Description textarea? 32000
LeadSource picklist? 255 [Web|Phone Inquiry|Partner Referral|Purchased List|Other]
Status picklist 255 [Open - Not Contacted|Working - Contacted|Closed - Converted|Closed - Not Converted]
Industry picklist? 255 [Banking|Construction|Consulting|Education|Engineering]
Rating picklist? 255 [Hot|Warm|Cold]
AnnualRevenue currency? 18.0
NumberOfEmployees int?
OwnerId reference -> Group|User as Owner
IsConverted boolean
ConvertedDate date?
ConvertedAccountId reference? -> Account as ConvertedAccount
ConvertedContactId reference? -> Contact as ConvertedContact
ConvertedOpportunityId reference? -> Opportunity as ConvertedOpportunity
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
LastActivityDate date?
HasOptedOutOfEmail boolean
DoNotCall boolean
Lead_Type__c picklist? 255 [Buyer|Seller|Renter|Landlord|Investor]
Budget_Max__c currency? 18.2
Interested_In__c reference? -> Property__c as Interested_In__r
## Contact 003 Contact Contacts
Id id
IsDeleted boolean
MasterRecordId reference? -> Contact as MasterRecord
AccountId reference? -> Account as Account
LastName string 80 in Name
FirstName string? 40 in Name
Salutation picklist? 40 in Name [Mr.|Ms.|Mrs.|Dr.|Prof.]
Name string 121
MailingStreet textarea? 255 in MailingAddress
MailingCity string? 40 in MailingAddress
MailingState string? 80 in MailingAddress
MailingPostalCode string? 20 in MailingAddress
MailingCountry string? 80 in MailingAddress
MailingLatitude double? 18.15 in MailingAddress
MailingLongitude double? 18.15 in MailingAddress
MailingAddress address?
Phone phone? 40
Fax phone? 40
MobilePhone phone? 40
HomePhone phone? 40
OtherPhone phone? 40
AssistantPhone phone? 40
ReportsToId reference? -> Contact as ReportsTo
Email email? 80
Title string? 128
Department string? 80
AssistantName string? 40
LeadSource picklist? 255 [Web|Phone Inquiry|Partner Referral|Purchased List|Other]
Birthdate date?
Description textarea? 32000
OwnerId reference -> User as Owner
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
LastActivityDate date?
HasOptedOutOfEmail boolean
DoNotCall boolean
IsPersonAccount boolean
Client_Type__c multipicklist? 4099 [Buyer|Seller|Tenant]
Licence_Until__c date?
## Account 001 Account Accounts
Id id
IsDeleted boolean
MasterRecordId reference? -> Account as MasterRecord
Name string 255
Type picklist? 40 [Prospect|Customer - Direct|Customer - Channel|Channel Partner / Reseller|Installation Partner|Technology Partner|Other]
ParentId reference? -> Account as Parent
BillingStreet textarea? 255 in BillingAddress
BillingCity string? 40 in BillingAddress
BillingState string? 80 in BillingAddress
BillingPostalCode string? 20 in BillingAddress
BillingCountry string? 80 in BillingAddress
BillingLatitude double? 18.15 in BillingAddress
BillingLongitude double? 18.15 in BillingAddress
BillingAddress address?
Phone phone? 40
Fax phone? 40
AccountNumber string? 40
Website url? 255
Industry picklist? 40 [Banking|Construction|Consulting|Education|Engineering]
AnnualRevenue currency? 18.0
NumberOfEmployees int?
Ownership picklist? 40 [Public|Private|Subsidiary|Other]
Description textarea? 32000
Rating picklist? 40 [Hot|Warm|Cold]
OwnerId reference -> User as Owner
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
LastActivityDate date?
AccountSource picklist? 40 [Web|Phone Inquiry|Partner Referral|Purchased List|Other]
IsPersonAccount boolean
LastName string? 80 in Name
FirstName string? 40 in Name
Salutation picklist? 40 in Name [Mr.|Ms.|Mrs.|Dr.|Prof.]
PersonContactId reference? -> Contact as PersonContact
PersonMailingStreet textarea? 255 in PersonMailingAddress
PersonMailingCity string? 40 in PersonMailingAddress
PersonMailingState string? 80 in PersonMailingAddress
PersonMailingPostalCode string? 20 in PersonMailingAddress
PersonMailingCountry string? 80 in PersonMailingAddress
PersonMailingAddress address?
PersonMobilePhone phone? 40
PersonEmail email? 80
PersonTitle string? 80
PersonBirthdate date?
PersonHasOptedOutOfEmail boolean
PersonDoNotCall boolean
Tax_Number__c string? 40
## Event 00U Event Events
Id id
WhoId reference? -> Contact|Lead as Who
WhatId reference? -> Account|Opportunity|Property__c as What
Subject combobox? 255 [Call|Email|Meeting|Send Letter/Quote|Other]
Location string? 255
IsAllDayEvent boolean
ActivityDateTime datetime?
ActivityDate date?
DurationInMinutes int?
StartDateTime datetime?
EndDateTime datetime?
EndDate date?
Description textarea? 32000
AccountId reference? -> Account as Account
OwnerId reference -> Calendar|User as Owner
IsPrivate boolean
IsDeleted boolean
IsChild boolean
IsGroupEvent boolean
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
IsArchived boolean
RecurrenceActivityId reference? -> Event
IsRecurrence boolean
EventSubtype picklist? 40 [Event]
## Opportunity 006 Opportunity Opportunities
Id id
IsDeleted boolean
AccountId reference? -> Account as Account
IsPrivate boolean
Name string 120
Description textarea? 32000
StageName picklist 255 [Prospecting|Qualification|Needs Analysis|Negotiation/Review|Closed Won|Closed Lost]
Amount currency? 18.2
Probability percent? 3.0
ExpectedRevenue currency? 18.2
TotalOpportunityQuantity double? 18.2
CloseDate date
Type picklist? 255 [Existing Customer - Upgrade|Existing Customer - Replacement|Existing Customer - Downgrade|New Customer]
NextStep string? 255
LeadSource picklist? 255 [Web|Phone Inquiry|Partner Referral|Purchased List|Other]
IsClosed boolean
IsWon boolean
OwnerId reference -> User as Owner
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
LastActivityDate date?
LastStageChangeDate datetime?
FiscalQuarter int? in Fiscal
FiscalYear int? in Fiscal
Fiscal string? 6
ContactId reference? -> Contact
## Task 00T Task Tasks
Id id
WhoId reference? -> Contact|Lead as Who
WhatId reference? -> Account|Opportunity|Property__c as What
Subject combobox? 255 [Call|Email|Meeting|Send Letter/Quote|Other]
ActivityDate date?
Status picklist 255 [Not Started|In Progress|Completed|Waiting on someone else|Deferred]
Priority picklist 255 [High|Normal|Low]
IsHighPriority boolean
OwnerId reference -> Group|User as Owner
Description textarea? 32000
IsDeleted boolean
AccountId reference? -> Account as Account
IsClosed boolean
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
IsArchived boolean
CallDurationInSeconds int?
CallType picklist? 40 [Internal|Inbound|Outbound]
CallDisposition string? 255
CallObject string? 255
RecurrenceActivityId reference? -> Task
IsRecurrence boolean
TaskSubtype picklist? 40 [Task|Email|ListEmail|Cadence|Call|LinkedIn]
## Property__c a03 Property Properties
Id id
OwnerId reference -> Group|User as Owner
IsDeleted boolean
Name string? 80
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
LastActivityDate date?
Address__c string? 100
Assessed_Value__c currency? 18.0
Baths__c double? 2.0
Beds__c double? 2.0
Broker__c reference? -> Broker__c as Broker__r
City__c string? 50
Date_Agreement__c date?
Date_Closed__c date?
Date_Contracted__c date?
Date_Listed__c date?
Date_Pre_Market__c date?
Days_On_Market__c double? 18.0 formula
Description__c textarea? 500
Location__Latitude__s double? 18.15 in Location__c
Location__Longitude__s double? 18.15 in Location__c
Location__c location? 0.7
Picture__c url? 255
Price_Sold__c currency? 8.0
Price__c currency? 8.0
State__c string? 20
Status__c picklist? 255 [Contracted|Pre Market|Available|Under Agreement|Closed]
Tags__c string? 255
Thumbnail__c url? 255
Zip__c string? 10
MLS_Number__c string? 30
## Broker__c a00 Broker Brokers
Id id
OwnerId reference -> Group|User as Owner
IsDeleted boolean
Name string? 80
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
LastActivityDate date?
Broker_Id__c double? 18.0
Email__c email? 80
Mobile_Phone__c phone? 40
Phone__c phone? 40
Picture__c url? 255
Title__c string? 30
## User 005 User Users
Id id
Username string 80
LastName string 80 in Name
FirstName string? 40 in Name
Name string 121
Email email 128
IsActive boolean
UserType picklist? 40 [Standard|Guest]
TimeZoneSidKey picklist 40 [America/New_York|Europe/Berlin]
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
## Group 00G Group Group
Id id
Name string 40
DeveloperName string? 80
Type picklist 40 [Regular|Queue]
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
## Organization 00D Organization Organizations
Id id
Name string 80
OrganizationType picklist? 40 [Developer Edition|Enterprise Edition]
IsSandbox boolean
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
## Note 002 Note Notes
Id id
IsDeleted boolean
ParentId reference -> Account|Contact|Lead|Opportunity|Property__c as Parent
Title string 80
IsPrivate boolean
Body textarea? 32000
OwnerId reference -> User as Owner
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
## TaskStatus 01T Task_Status_Value Task_Status_Value
Id id
MasterLabel string? 255
ApiName string? 255
SortOrder int?
IsDefault boolean
IsClosed boolean
CreatedDate datetime
CreatedById reference -> User as CreatedBy
LastModifiedDate datetime
LastModifiedById reference -> User as LastModifiedBy
SystemModstamp datetime
`

/** All objects, as they are before a test changes their fields. */
export function entities(): ReadonlyMap<string, Entity> {
  const found = new Map<string, Entity>()
  for (const block of OBJECTS.split('\n## ').slice(1)) {
    const [head = '', ...lines] = block.trim().split('\n')
    const [name = '', prefix = '', label = '', plural = ''] = head.split(' ')
    const spoken = (text: string): string => text.replaceAll('_', ' ')
    found.set(name, { name, prefix, label: spoken(label), plural: spoken(plural), fields: lines.map(fieldOf) })
  }
  return found
}

function fieldOf(line: string): Field {
  const [, name = '', type = '', optional, size = '', rest = ''] =
    /^(\w+) (\w+)(\?)?(?: ([\d.]+))?(.*)$/.exec(line) ?? []
  const [precision = 0, scale = 0] = size.includes('.') ? size.split('.').map(Number) : []
  const length = size === '' || size.includes('.') ? (type === 'id' || type === 'reference' ? 18 : 0) : Number(size)
  return {
    name,
    type,
    nillable: optional !== undefined,
    length,
    precision,
    scale,
    calculated: / formula\b/.test(rest),
    compound: / in (\w+)/.exec(rest)?.[1] ?? null,
    references: / -> ([\w|]+)/.exec(rest)?.[1]?.split('|') ?? [],
    relationship: / as (\w+)/.exec(rest)?.[1] ?? null,
    values: /\[(.+)\]$/.exec(rest)?.[1]?.split('|') ?? [],
  }
}

/** True for fields that are made of others: addresses and places on the map. */
export const isCompound = ({ type }: Field): boolean => type === 'address' || type === 'location'

const SOAP: Readonly<Record<string, string>> = {
  id: 'tns:ID',
  reference: 'tns:ID',
  boolean: 'xsd:boolean',
  int: 'xsd:int',
  double: 'xsd:double',
  currency: 'xsd:double',
  percent: 'xsd:double',
  date: 'xsd:date',
  datetime: 'xsd:dateTime',
  address: 'urn:address',
  location: 'urn:location',
}

const spoken = (name: string): string =>
  name
    .replace(/__[cs]$/, '')
    .replaceAll('_', ' ')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/ Id$/, ' ID')

/** A field as a description has it, with all the attributes that one has. */
export function describeField(field: Field): Row {
  const custom = /__[cs]$/.test(field.name)
  const text = field.length > 0
  const written = !(field.calculated || isCompound(field) || SYSTEM.has(field.name))
  return {
    aggregatable: field.type !== 'textarea',
    aiPredictionField: false,
    autoNumber: false,
    byteLength: text ? (field.type === 'id' || field.type === 'reference' ? 18 : field.length * 3) : 0,
    calculated: field.calculated,
    calculatedFormula: field.calculated ? 'TODAY() - Date_Listed__c' : null,
    cascadeDelete: false,
    caseSensitive: false,
    compoundFieldName: field.compound,
    controllerName: null,
    createable: written,
    custom,
    defaultValue: field.type === 'boolean' ? false : null,
    defaultValueFormula: null,
    defaultedOnCreate: field.type === 'boolean' || SYSTEM.has(field.name),
    dependentPicklist: false,
    deprecatedAndHidden: false,
    digits: field.type === 'int' ? 8 : 0,
    displayLocationInDecimal: field.type === 'location',
    encrypted: false,
    externalId: false,
    extraTypeInfo: null,
    filterable: field.type !== 'textarea' && !isCompound(field),
    filteredLookupInfo: null,
    formulaTreatNullNumberAsZero: false,
    groupable: field.type !== 'textarea',
    highScaleNumber: false,
    htmlFormatted: false,
    idLookup: field.name === 'Id' || field.type === 'email',
    inlineHelpText: null,
    label: spoken(field.name),
    length: field.length,
    mask: null,
    maskType: null,
    name: field.name,
    nameField: field.name === 'Name',
    namePointing: field.references.length > 1,
    nillable: field.nillable,
    permissionable: written && field.nillable,
    picklistValues: field.values.map((value) => ({
      active: true,
      defaultValue: false,
      label: value,
      validFor: null,
      value,
    })),
    polymorphicForeignKey: field.references.length > 1,
    precision: field.precision,
    queryByDistance: field.type === 'location',
    referenceTargetField: null,
    referenceTo: [...field.references],
    relationshipName: field.relationship,
    relationshipOrder: null,
    restrictedDelete: false,
    restrictedPicklist: field.values.length > 0 && custom,
    scale: field.scale,
    searchPrefilterable: false,
    soapType: SOAP[field.type] ?? 'xsd:string',
    sortable: field.type !== 'textarea' && !isCompound(field),
    type: field.type,
    unique: false,
    updateable: written,
    writeRequiresMasterRead: false,
  }
}

const SYSTEM = new Set([
  'Id',
  'IsDeleted',
  'CreatedDate',
  'CreatedById',
  'LastModifiedDate',
  'LastModifiedById',
  'SystemModstamp',
  'LastActivityDate',
  'MasterRecordId',
])

/** Objects whose deleted records nobody can ask for: they are never replicated. */
const NOT_REPLICATED = new Set(['TaskStatus', 'Organization'])

/** What the list of all objects says of one; its whole description begins with the same. */
export function describeGlobally({ name, prefix, label, plural }: Entity, base: string): Row {
  const custom = name.endsWith('__c')
  const own = `${base}/sobjects/${name}`
  return {
    activateable: false,
    associateEntityType: null,
    associateParentEntity: null,
    createable: true,
    custom,
    customSetting: false,
    deepCloneable: false,
    deletable: true,
    deprecatedAndHidden: false,
    feedEnabled: false,
    hasSubtypes: false,
    isInterface: false,
    isSubtype: false,
    keyPrefix: prefix,
    label,
    labelPlural: plural,
    layoutable: true,
    mergeable: MERGEABLE.has(name),
    mruEnabled: true,
    name,
    queryable: true,
    replicateable: !NOT_REPLICATED.has(name),
    retrieveable: true,
    searchable: true,
    triggerable: true,
    undeletable: true,
    updateable: true,
    urls: { sobject: own, describe: `${own}/describe`, rowTemplate: `${own}/{ID}` },
  }
}

/** Objects with two records that can be made one. */
export const MERGEABLE: ReadonlySet<string> = new Set(['Account', 'Contact', 'Lead'])

/** The whole description of an object. */
export function describeEntity(entity: Entity, base: string): Row {
  return {
    actionOverrides: [],
    childRelationships: [],
    compactLayoutable: true,
    ...describeGlobally(entity, base),
    fields: entity.fields.map(describeField) as Json,
    listviewable: null,
    lookupLayoutable: null,
    namedLayoutInfos: [],
    networkScopeFieldName: null,
    recordTypeInfos: [],
    searchLayoutable: true,
    sobjectDescribeOption: 'FULL',
    supportedScopes: [{ label: `All ${entity.plural}`, name: 'everything' }],
  }
}
