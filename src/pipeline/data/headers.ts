/** Words that stand in headers around the name of a field. All in folded form: lower case, no accents. */

/** What a prefix says the column belongs to: `Person - Name`, `Deal.Owner`, `Property City`. */
export const ENTITY_WORDS = {
  contact:
    'registrant registrants demandante demandantes contact contacts person persons people client clients customer customers kontakt kontakte kunde kunden personne persona pessoa persoon klant cliente solicitante richiedente requerente aanvrager antragsteller expediteur remitente mittente absender afzender applicant requester member tenant tenants renter renters mieter mieterin huurder huurders inquilino inquilinos inquilina locatario locatarios locataire locataires arrendatario arrendatarios mitglied mitglieder lid leden membre membres attendee attendees resident residents bewohner visitor visitors registrant registrants subscriber subscribers contato contatto contacto referente relatie relaties interlocuteur ansprechpartner contactpersoon',
  lead: 'lead leads deal deals opportunity opportunities prospect prospects inquiry enquiry interessent buyer anfrage anfragen interessenten demande demandes richiesta richieste solicitud solicitudes aanvraag aanvragen pedido solicitacao prospecto prospectos inquiries enquiries affaire oportunidad oportunidade opportunita trattativa negocio acheteur acquereur comprador acquirente koper kaufer zoeker candidato candidatos piste interesado interessado interessato geinteresseerde enquirer inquirer demandeur application applications bewerbung candidature',
  property:
    'property properties listing listings immobilie immobilien objekt objekte bien biens inmueble inmuebles propiedad imovel immobile woning object pand',
  activity:
    'activity activities task tasks event events call calls meeting meetings note notes engagement engagements appointment showing aktivitat aufgabe termin actividad atividade attivita activiteit taak afspraak bezoek visite visita cita compromisso appuntamento rendezvous besichtigung bezichtiging tarea tarefa tache compito gesprek rdv',
  organization:
    'organization organizations organisation organisations company companies account accounts firma unternehmen org societe entreprise empresa azienda bedrijf',
} as const

/**
 * Somebody or something else than the record itself. A header with one of these only means what the synonyms say
 * outright: the phone of an assistant is not the phone of the contact.
 */
export const FOREIGN_WORDS =
  'nok kin spouse spouses wife husband partner partners assistant assistants manager managers supervisor referrer referral referred parent child children emergency yomi phonetic maiden nickname attorney lender coborrower coapplicant previous former old bounced bounce hash encrypted count ehepartner ehefrau ehemann assistent assistentin vorgesetzter conjoint assistante conyuge asistente conjuge assistente coniuge echtgenoot partnernaam verified validation valid recent modifiedby createdby label types photo picture image avatar opened clicked delivered replied'

/** Systems whose ids people keep beside a record: `Copper ID`, `kvcore_id`. */
export const SYSTEM_WORDS =
  'salesforce sfdc sf hubspot hs pipedrive zoho copper insightly freshsales freshworks kvcore boldtrail fub followupboss lofty chime cinc boomtown sierra realgeeks wiseagent topproducer liondesk propertybase rex vtiger sugarcrm sugar dynamics crm close keap infusionsoft activecampaign mailchimp monday airtable notion hubspotcrm nimble capsule agilecrm bitrix bitrix24 buildium appfolio yardi rentmanager onoffice flowfact propstack immoware inmovilla witei mobilia kolibri realworks gestionale rdstation jetimob vista facebook google outlook import source system'

/** What a person looks for, not what is: `Preferred property type`, `Quartos desejados`. */
export const WISH_WORDS =
  'preferred preference desired wanted requested required sought wished interested interest looking gewunscht gewunschte gewunschter gewuenschte gesucht gesuchte gesuchter wunsch souhaite souhaitee souhaites souhaitees recherche recherchee recherches recherchees voulu buscado buscada buscados buscadas deseado deseada deseados deseadas solicitado solicitada requerido preferido preferida interes procurado procurada procurados procuradas desejado desejada desejados desejadas pretendido pretendida interesse preferencia desiderato desiderata desiderati desiderate cercato cercata cercati cercate richiesto richiesta gewenst gewenste voorkeur gezocht gezochte needed needs necesarios necesarias necesita necesitan benotigt benotigte nodig necessarios necessari'

/** Units behind the name of an area: `Wohnfläche (m²)`. Behind a price they make it another one: `Price / sqft`. */
export const AREA_UNITS = 'm2 qm sqm mq sqft ft2 sf'

/** Currencies and hints behind a name that leave its meaning alone: `Price in EUR`, `Name (required)`, `Born (dd.mm.yyyy)`. */
export const HARMLESS_WORDS =
  'eur euro euros usd gbp chf cad aud brl mxn clp uf uyu nzd dkk pln czk aed dollar dollars required optional mandatory pflichtfeld pflicht obligatoire obligatorio obbligatorio verplicht optionnel opcional opzionale optioneel dd mm yyyy yy jj jjjj aaaa tt hh ss ymd utc e164'

/** First words of a yes-or-no: `Is primary email` is no address. */
export const QUESTION_WORDS = 'is has was can did are ist hat'

/** Words without a meaning of their own, at the start of a header of a form: `Your email`, `What is your phone number?`. */
export const FILLER_WORDS =
  'how many much combien cuantos cuantas quantos quantas quanti quante hoeveel wieviele viele your my the their please enter what whats votre su seu ihre ihr uw il la le der die das provide insert tell us give write indicate which is are an a so we can cual es son tu tus sus mi que indique indica indicanos introduce introduzca escribe escriba ponga dinos diganos dejanos dejenos deja deje dejame indicame escribenos por favor rellena facilite facilitanos qual e o os as seus sua suas teu tua informe digite insira escreva preencha tuo suo suoi inserisci inserire indicare scrivi scriva quale quel quelle quels quelles est sont vos ton ta tes veuillez indiquer indiquez saisir saisissez entrer entrez renseigner wie lautet was welche welcher welches ist sind ihren ihrem deine dein deinen bitte geben sie angeben eingeben tragen wat je jouw vul geef welke graag'

/** Which of a person's addresses a column belongs to, in order of preference, the one without any such word first. */
export const ADDRESS_GROUPS: readonly { readonly name: string; readonly words: string; readonly preference: number }[] =
  [
    {
      name: 'mailing',
      words: 'mailing postal correspondence primary main preferred postanschrift postale correspondencia',
      preference: 0.9,
    },
    {
      name: 'home',
      words:
        'home private personal residential residence current privat private privatadresse domicile personnel personnelle particular casa residencial abitazione residenza domicilio thuis prive hogar residencia',
      preference: 0.8,
    },
    {
      name: 'work',
      words:
        'work business office professional geschaftlich geschaeftlich dienstlich buro buero bureau professionnel professionnelle travail trabajo oficina comercial trabalho escritorio lavoro ufficio werk zakelijk kantoor',
      preference: 0.76,
    },
    {
      name: 'billing',
      words: 'billing invoice rechnung rechnungs facturation facturacion cobranca fatturazione factuur facturatie',
      preference: 0.6,
    },
    { name: 'physical', words: 'physical legal registered permanent visiting sede legale', preference: 0.5 },
    {
      name: 'shipping',
      words: 'shipping delivery liefer lieferung livraison envio entrega spedizione consegna bezorg levering',
      preference: 0.4,
    },
    {
      name: 'company',
      words: 'company firma organization organisation entreprise societe empresa azienda bedrijf',
      preference: 0.3,
    },
    {
      name: 'other',
      words: 'other alternate alternative secondary additional weitere andere autre otra outro altro overig',
      preference: 0.2,
    },
  ]

/** Left over when such a word is taken out: `Calle del trabajo`. */
export const CONNECTOR_WORDS =
  'de del della dell di do da du des der dem la le el il lo of the for van von zum zur en in al el d l'

/** What the column that holds the value of several alike is called, and the one that holds its kind: `E-mail 1 - Value`. */
export const VALUE_WORDS = 'value valor wert valeur valore waarde'
export const KIND_WORDS = 'type label typ tipo etiqueta rotulo libelle etichetta bezeichnung'

/** Words before the parts of an address that say no more than that: `Endereço 1 - Cidade`, `address_city`. */
export const ADDRESS_WORDS =
  'address addresses adresse anschrift direccion domicilio endereco morada indirizzo adres addr'

/** Headers of columns that may hold a whole place or address; a header with two of these words holds both. */
export const PLACE_WORDS =
  'location, place, address, full address, city, town, state, zip, postal code, postcode, city state zip, csz, plz, ort, stadt, anschrift, adresse, ville, cp, code postal, localité, commune, ciudad, localidad, población, dirección, ubicación, código postal, provincia, estado, cidade, cep, endereço, morada, localização, città, cap, comune, indirizzo, località, luogo, plaats, woonplaats, adres, locatie, unparsed address, vollständige adresse, adresse complète, dirección completa, endereço completo, indirizzo completo, volledig adres, lage, standort'

/** Headers of the number of a house beside its street. Those with a word of the second list write it before the street. */
export const HOUSE_NUMBER_WORDS =
  'house number, house no, house nr, street number, street no, building number, number, no, hausnummer, haus nr, hausnr, hnr, nr, nummer, numéro, n°, numéro de rue, numéro de voie, número, núm, nº, número exterior, num ext, n exterior, numero civico, civico, n civico, numero, huisnummer, huisnr, huis nr'
export const NUMBER_FIRST_WORDS = 'house, street, building, numéro de rue, voie, rue'

/** What sources call a column without a name. */
export const NAMELESS =
  /^(?:column|unnamed|field|spalte|feld|colonne|champ|columna|coluna|colonna|campo|kolom|veld|col|var|f|c|x)?[\s:_-]*\d*$/
