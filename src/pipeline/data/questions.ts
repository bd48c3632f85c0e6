/**
 * What forms ask for in whole sentences: `How many bedrooms do you need?`, `¿A qué teléfono te llamamos?`. A rule counts where
 * one word of each of its groups is in the question and none of `not`; of several rules the first one counts. Words are
 * folded (lower case, no accents); one that ends in `*` stands for every word that begins like it.
 *
 * Only questions whose answers always are that field belong here: whether a loan is granted, or where the person wants to
 * live, is no field of ours, and a question that no rule knows is left to a person.
 */
import type { RecordTypeName } from '../../records/types.js'

export interface QuestionRule {
  readonly types: readonly RecordTypeName[]
  readonly field: string
  readonly groups: readonly string[]
  readonly not?: string
}

/** Words by which a header of several words addresses somebody, who is then asked: questions without a question mark. */
export const ASKING_WORDS =
  'you your youre yours we us i ihr ihre ihren ihrem sie uns wir du dein deine deinen vous votre vos tu ton ta te tes toi nous le la usted ustedes su sus tus nos voce voces seu sua seus suas tuo tua suo suoi ti ci u uw je jouw wij we ons jij ' +
  'what whats when where which how why who wann was welche welcher welches welchen wie wieviel wieviele wo wohin quel quelle quels quelles quand comment combien ou cual cuales cuando como cuanto cuanta cuantos cuantas donde que qual quais quando quanto quanta quantos quantas onde quale quali quanti quante come dove cosa che hoe hoeveel wanneer waar wat welk'

/** First words of a question whose answer is yes or no, or one of the choices that it names. */
export const CHOOSING_WORDS =
  'is has was can did are do does have will would should may ist hat sind haben hast mochten mochtest wollen willst konnen darf tienes tiene tenes necesitas necesita quieres quiere eres deseas desea est avez as etes es voulez souhaitez hai ha vuoi vuole sei desidera heeft heb bent ben wilt wil zijn tem voce possui deseja quer'

const BUYING =
  'buy buys buying buyer purchase purchasing comprar compra comprador comprando kaufen kauf kaufer acheter achat acheteur acquerir comprare acquistare acquisto acquirente kopen koop koper'
const SELLING =
  'sell sells selling seller sale vender venta vendedor vendo verkaufen verkauf verkaufer vendre vente vendeur vendere vendita venditore venda verkopen verkoop verkoper'
const RENTING =
  'rent rents renting rental lease leasing alquilar alquiler rentar renta arrendar arriendo mieten miete louer location affittare affitto locare alugar aluguel arrendamento huren huur'
const MOVING =
  'move moving relocate relocating ready start plan planning hoping hope umziehen einziehen umzug einzug mudarse mudarte mudar mudarme mudarnos trasladarse demenager emmenager demenagement trasferirsi trasferirti trasferire trasloco traslocare verhuizen verhuizing intrekken'
const HOMES =
  'property properties home homes house houses housing dwelling residence realestate inmueble inmuebles vivienda viviendas propiedad propiedades casa piso imovel imoveis propriedade immobilie immobilien objekt objekts wohnung haus unterkunft bien biens logement habitation propriete immobile immobili abitazione woning woningen huis object pand vastgoed'
const NAMES_OF_FIRMS =
  'company business firm employer empresa negocio firma unternehmen entreprise societe azienda ditta bedrijf organisation organization organizacion'
const HOW = 'how where como donde wie wo woher comment ou come dove hoe waar onde por medio durch via'
const US =
  'us our about nos nosotros uns nous noi ci ons gente agency website company site agencia agence agenzia inmobiliaria imobiliaria makelaar property listing home house event'
const LEARN =
  'hear heard find found know learn learned discover discovered conoc* conhec* conosc* encontr* entero enteraste enteras supo supiste sabido soube sabendo aufmerksam erfahren gefunden kennen kennengelernt gehort connu connus connue entendu trouve trouves trovato trovati sentito gevonden gehoord terechtgekomen gekomen kent ken llegaste llego chegou'

/** Where the words say when to call or to visit, the answer is no plan to move. */
const APPOINTMENTS =
  'call contact contacted reach visit tour view viewing showing meet meeting appointment llamar llamarte llamarle contactar contactarte visitar visita anrufen erreichen kontaktieren besichtigen besichtigung termin appeler rappeler joindre contacter visiter visite chiamare chiamarti contattare contattarti ricontattare visitare bellen bereiken bezichtigen bezichtiging ligar contatar last built born'

export const QUESTIONS: readonly QuestionRule[] = [
  { types: ['contact', 'lead'], field: 'source', groups: [HOW, LEARN, US], not: 'agent realtor lender' },
  {
    types: ['lead'],
    field: 'timeframe',
    groups: [
      'when soon soonest quickly fast cuando wann quand quando wanneer timeframe timeline plazo delai delais prazo zeitraum zeitrahmen termijn horizonte tempi tempistiche entro',
      `${MOVING} ${BUYING} ${SELLING} ${RENTING} looking want`,
    ],
    not: APPOINTMENTS,
  },
  {
    types: ['lead'],
    field: 'timeframe',
    groups: ['timeframe timeline plazo delai delais prazo zeitrahmen zeitraum termijn tempistiche'],
    not: APPOINTMENTS,
  },
  {
    types: ['lead'],
    field: 'bedroomsTotal',
    groups: [
      'bedroom bedrooms beds dormitorio dormitorios habitacion habitaciones recamara recamaras alcobas schlafzimmer chambre chambres quarto quartos camere slaapkamer slaapkamers',
      'how many number minimum min need needs needed want wanted looking cuantos cuantas necesita* busca* wieviele viele anzahl benotig* brauch* mochten such* combien nombre souhait* besoin recherch* quantos quantas precisa* procura* quante numero servono cerca* hoeveel nodig wenst wilt zoekt',
    ],
    not: `${SELLING} bath baths bathroom bathrooms`,
  },
  {
    types: ['lead'],
    field: 'budgetMin',
    groups: [
      'budget presupuesto orcamento price precio preco preis prix prezzo prijs',
      'minimum minimo minimal minimale minimaal lowest mindestens',
    ],
    not: `${SELLING} down`,
  },
  {
    types: ['lead'],
    field: 'budgetMax',
    groups: [
      'budget presupuesto orcamento spend spending afford invest gastar invertir investir ausgeben investieren depenser spendere investire gastare besteden uitgeven preisrahmen pagar',
    ],
    not: 'down deposit anzahlung eigenkapital apport entrada enganche marketing financ* mortgage hipotec* hypothe* approved',
  },
  {
    types: ['lead'],
    field: 'budgetMax',
    groups: [
      'price precio preco preis prix prezzo prijs pricerange',
      'maximum max maximo maximal maximale massimo maximaal highest hochstens upto up hasta bis jusqu ate fino tot',
    ],
    not: `${SELLING} sold verkauft vendido vendu venduto verkocht`,
  },
  {
    types: ['lead'],
    field: 'leadType',
    groups: [BUYING, SELLING],
    not: 'when wann cuando quand quando wanneer before first antes vorher avant prima eerst',
  },
  {
    types: ['lead'],
    field: 'transactionType',
    groups: [BUYING, RENTING],
    not: 'when wann cuando quand quando wanneer',
  },
  {
    types: ['lead'],
    field: 'propertyType',
    groups: [
      'type types kind kinds sort style tipo tipos clase art typ objektart genre soort tipologia categoria',
      HOMES,
    ],
    not: `${SELLING} current currently actual actuel attuale atual huidige derzeit mortgage loan`,
  },
  {
    types: ['contact', 'lead'],
    field: 'mobilePhone',
    groups: [
      'mobile cell cellphone movil celular handy handynummer mobilnummer portable cellulare telemovel mobiel mobiele',
    ],
    not: 'may can consent agree sms text updates',
  },
  {
    types: ['contact', 'lead'],
    field: 'phone',
    groups: [
      'phone telephone telefono telefone telefon telefonnummer telefoon telefoonnummer numero nummer number rufnummer',
      'reach call contact contacted best joindre appeler rappeler contacter erreichen anrufen zuruckrufen llamamos llamar llamarte llamarle contactar contactarte contactamos ligar ligamos contatar chiamare chiamarti chiamarla contattare contattarti contattarla ricontattare bellen bereiken your su tu votre ihre ihrer uw je seu',
    ],
    not: 'time hora heure uhrzeit ora tijd bedrooms rooms people fax reference listing mls agent realtor may consent agree',
  },
  {
    types: ['contact', 'lead'],
    field: 'email',
    groups: ['email emails mail mailadresse emailadresse correo courriel emailadres mailadres'],
    not: 'agent realtor may consent agree newsletter updates subscribe receive recibir recevoir ricevere ontvangen erhalten',
  },
  {
    types: ['contact', 'lead'],
    field: 'lastName',
    groups: [
      'lastname surname familyname nachname nachnamen familienname apellido apellidos achternaam cognome sobrenome apelido famille last family',
      'lastname surname familyname nachname nachnamen familienname apellido apellidos achternaam cognome sobrenome apelido nom name',
    ],
    not: 'first vorname prenom voornaam nombre full',
  },
  {
    types: ['contact', 'lead'],
    field: 'firstName',
    groups: [
      'firstname first vorname vornamen prenom voornaam given primer pila',
      'firstname vorname vornamen prenom voornaam name nombre',
    ],
    not: `last surname nachname apellidos achternaam famille ${NAMES_OF_FIRMS}`,
  },
  {
    types: ['contact', 'lead'],
    field: 'displayName',
    groups: ['llamas llama llamarte heissen heisst heißen appelez appelles chiami chiama chama chamas heet'],
    not: `${NAMES_OF_FIRMS} haustier mascota`,
  },
  {
    types: ['contact', 'lead'],
    field: 'displayName',
    groups: ['full complete completo complet vollstandiger ganzer volledige', 'name nombre nom nome naam'],
    not: NAMES_OF_FIRMS,
  },
  {
    types: ['contact', 'lead'],
    field: 'companyName',
    groups: [
      NAMES_OF_FIRMS,
      'name nombre nom nome naam work trabajas trabaja arbeiten travaillez lavori lavora werkt werk trabalha heisst',
    ],
    not: 'size type industry long website',
  },
  {
    types: ['contact'],
    field: 'birthDate',
    groups: [
      'birthday birthdate birth born geburtstag geburtsdatum geboren nacimiento cumpleanos naciste naissance anniversaire nascita nascimento nasceu geboortedatum verjaardag',
    ],
    not: 'place lugar lieu ort luogo plaats where donde wo spouse partner child',
  },
  {
    types: ['contact', 'lead'],
    field: 'postalCode',
    groups: ['zip zipcode postcode postal plz postleitzahl cep'],
    not: `${MOVING} ${BUYING} ${SELLING} search looking interested property home buscas suchen cherchez`,
  },
  {
    types: ['lead'],
    field: 'description',
    groups: [
      'anything something algo alguma alguna sonst etwas autre altro qualcosa iets',
      'else more know share tell add mas otra debamos saber sonst wissen mitteilen noch chose savoir ajouter dire aggiungere sapere mais acrescentar weten toevoegen meegeven',
    ],
  },
  {
    types: ['lead'],
    field: 'description',
    groups: [
      'how wie como comment come hoe que',
      'help helfen ayudarte ayudarle ayudar aider aiutarti aiutarla aiutare ajudar ajuda helpen assist',
    ],
  },
  {
    types: ['lead'],
    field: 'description',
    groups: [
      'message messages comment comments question questions remarks notes mensaje mensajes consulta comentario comentarios preguntas nachricht fragen anmerkung anmerkungen bemerkung bemerkungen anliegen commentaire commentaires remarques precisions mensagem comentarios duvida duvidas messaggio commento commenti domanda domande bericht opmerking opmerkingen vragen toelichting',
    ],
    not: 'agent internal consent agree privacy security reference date time id subject type status number',
  },
  {
    types: ['contact'],
    field: 'notes',
    groups: [
      'message mensaje nachricht mensagem messaggio bericht anything',
      'your you su tu ihre votre seu suo uw jouw else us',
    ],
    not: 'consent agree privacy date time id subject type status number',
  },
]

/** Fields of choices whose values alone say that a question asks for them: `What are you looking for?` with `Condo`. */
export const ANSWERED_BY_VALUES = 'leadType transactionType propertyType'

/**
 * Last words of a header that say nothing where the rest names one of these fields: `lead_stage_name`,
 * `max_budget_amount`. By the word, fields separated by blanks.
 */
export const TAILS: Readonly<Record<string, string>> = {
  name: 'status source sourceDetail campaign leadType propertyType propertySubType transactionType rating type priority outcome city stateOrProvince countyOrParish country contactType lostReason standardStatus industry',
  label:
    'status source leadType propertyType propertySubType transactionType rating type priority outcome contactType lostReason standardStatus',
  text: 'status description body notes publicRemarks privateRemarks timeframe outcome lostReason',
  value:
    'score status source leadType budgetMin budgetMax listPrice closePrice leaseAmount associationFee taxAnnualAmount livingArea lotSizeArea yearBuilt rating email phone mobilePhone',
  amount: 'budgetMin budgetMax listPrice originalListPrice closePrice associationFee taxAnnualAmount',
  address: 'email contact.email ownerEmail listAgentEmail',
  no: 'phone mobilePhone homePhone fax ownerPhone listAgentPhone',
  number: 'phone mobilePhone homePhone fax ownerPhone listAgentPhone',
}
