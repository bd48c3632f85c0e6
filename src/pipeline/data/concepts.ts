/**
 * Words that say the same, whatever the language: a header is read like a synonym that says the same in other words or
 * in another order (`Tel. (travail)` is `Téléphone travail`). All in folded form: lower case, no accents; plurals need
 * no entry of their own.
 *
 * Only words of one meaning belong here. Where two fields come out alike all the same, neither is taken.
 */
export const CONCEPTS: Readonly<Record<string, string>> = {
  phone:
    'phone telephone tel telefon telefonnummer telefono telefone telefoon telefoonnummer fon fone tlf tfno telf tfn telef ph phonenumber fono telnr telefonnr telefoonnr rufnummer rufnr teleph phonenr phoneno telno tlfno',
  mobile:
    'mobile mobil mobiel mobiele cell cellular cellphone handy handynummer portable movil celular cellulare telemovel gsm mob mobilnummer mobilfunk mobiltelefon mobilephone mobilenumber mobilnr handynr mobilfunknummer cel tlm',
  fax: 'fax telefax telefaxnummer faxnummer telecopie telecopieur facsimile faxnr',
  email:
    'email mail emailadresse mailadresse courriel correo mel emailadres mailadres emailaddress mailaddress eml emailid',
  number:
    'number nummer numero nr no n num nbr nro nbre nb anzahl anz aantal qtd quantidade cantidad cant qty count aant',
  name: 'name nom nombre nome naam namen',
  date: 'date datum fecha data dt fec',
  address: 'address adresse adres direccion endereco indirizzo morada addr adr anschrift',
  work: 'work business office professional pro geschaftlich geschaeftlich geschaft geschaeft geschafts geschaefts dienstlich buro buero arbeit professionnel professionnelle travail bureau trabajo trabalho oficina comercial profesional profissional lavoro ufficio aziendale werk zakelijk zakelijke kantoor',
  home: 'home private personal privat priv personnel personnelle perso domicile casa particular residencial pessoal personale abitazione thuis prive huis residential',
  type: 'type typ tipo soort art',
  status: 'status statut estatus',
  id: 'id identifier identifiant identificador identificativo identificatie kennung ident ids',
  created:
    'created erstellt cree creado criado creato aangemaakt creation erstellung erstellungs creacion criacao creazione angelegt anlage added hinzugefugt creatie aanmaak ajout',
  modified:
    'modified updated changed edited geandert geaendert aktualisiert modifie modificado actualizado atualizado modificato aggiornato gewijzigd bijgewerkt modification update anderung aenderung anderungs aktualisierung modificacion actualizacion modificacao atualizacao modifica aggiornamento wijziging modif upd maj mod',
  last: 'last letzte letzter letztes zuletzt derniere dernier ultima ultimo laatste laatst latest most recent',
  code: 'code kode codigo codice cod kod cd clave',
  company:
    'company firma firmen unternehmen unternehmens societe entreprise empresa azienda bedrijf bedrijfs organisation organization organisatie organizacion organizacao organizzazione org societa compania',
  note: 'note notiz nota notitie remark bemerkung comment kommentar commentaire comentario commento opmerking anmerkung remarque observacion observacao osservazione notizen notas bemerkungen commentaires comentarios commenti opmerkingen anmerkungen remarques observaciones observacoes osservazioni notities',
  area: 'area flache flaeche superficie surface oppervlakte metratura fl',
  price: 'price preis prix precio preco prezzo prijs kaufpreis koopprijs koopsom kaufsumme',
  year: 'year jahr annee ano anno jaar yr',
  built: 'built construction construccion construcao costruzione bouw bau constructed build',
  bedroom:
    'bedroom schlafzimmer schlafzi chambre dormitorio quarto qto qtos dorm dorms slaapkamer bdrm bedrm recamara habitacion hab bed bd br camere camera',
  bathroom: 'bathroom badezimmer badezi bano banheiro bagno badkamer baths bagni sdb ba',
  lot: 'lot plot grundstuck grundstuecks grundstucks grundstueck terrain terreno perceel parcela kavel',
  tax: 'tax taxes steuer impot imposto imposta belasting',
  city: 'city town stadt ort ville ciudad cidade citta stad plaats localidad localite',
  postal: 'postal postcode postleitzahl plz zip zipcode',
  country: 'country pays pais paese land ctry',
  street: 'street strasse str rue calle rua via straat',
  birth: 'birth geburt geburts geburtstag naissance nacimiento nascimento nascita geboorte bday birthday',
  agent:
    'agent makler makelaar agente corretor negociateur realtor broker asesor asesora ejecutivo ejecutiva negotiator advisor',
  owner: 'owner eigentumer eigentuemer proprietaire propietario proprietario eigenaar dueno duena dono dona',
  source:
    'source quelle fuente fonte bron herkunft herkomst origine origen origem provenienza provenance procedencia src',
  language: 'language sprache langue idioma lingua taal',
  website: 'website webseite site web homepage',
  url: 'url link lien enlace',
  latitude: 'latitude latitud latitudine breitengrad breedtegraad lat',
  longitude: 'longitude longitud longitudine langengrad laengengrad lengtegraad lng lon',
  energy: 'energy energie energia energetica energetique energetico',
  class: 'class klasse classe clase',
  listing: 'listing annonce anuncio annuncio inserat advertentie angebot angebots',
  property: 'property immobilie immobilien objekt bien inmueble propiedad imovel immobile woning object pand vastgoed',
  contact: 'contact kontakt contacto contato contatto contactpersoon ansprechpartner',
  customer: 'customer client kunde kunden cliente klant klanten cust kd clt',
  total: 'total gesamt totale totaal insgesamt gesamte',
  monthly: 'monthly monatlich mensuel mensuelle mensual mensal mensile maandelijks mtl',
  duration: 'duration dauer duree duracion duracao durata duur',
  seconds: 'second seconds sekunde sekunden seconde secondes segundo segundos secondo secondi secs sec sek',
  result: 'result ergebnis resultat resultado risultato resultaat outcome esito uitkomst',
  reason: 'reason grund raison motif motivo razon razao reden cause causa',
  lost: 'lost loss verlust verloren perte perdu perdida perda perdita verlies',
  max: 'max maxi maximum maximal maximo massimo maximaal maximale',
  min: 'min mini minimum minimal minimo minimaal minimale mindest mind mindestens',
  budget: 'budget presupuesto orcamento ppto presup',
  campaign: 'campaign kampagne campagne campana campanha campagna',
  next: 'next nachste naechste nachster naechster prochain prochaine proximo proxima prossimo prossima volgende volgend prox',
  start: 'start beginn debut inicio inizio begin begins',
  end: 'end ende fin fim fine einde eind',
  time: 'time uhrzeit zeit heure hora ora tijd',
  due: 'due fallig faellig falligkeit faelligkeit falligkeits echeance vencimiento vencimento scadenza verval',
  subject: 'subject betreff objet asunto assunto oggetto onderwerp sujet',
  priority: 'priority prioritat prioritaet priorite prioridad prioridade priorita prioriteit prio',
  sold: 'sold verkauft vendu vendido venduto verkocht',
  original:
    'original ursprunglich ursprunglicher urspruenglicher originale originele oorspronkelijke initial iniziale inicial',
  rent: 'rent miete loyer alquiler aluguel aluguer affitto huur rental renta',
  floor: 'floor etage stockwerk',
  virtual: 'virtual virtuelle virtueller virtuell virtuele virtuale',
  tour: 'tour visite visita rundgang rondleiding',
  unit: 'unit einheit unite unidad unidade unita eenheid',
  department: 'department abteilung departement departamento dipartimento afdeling dept',
  job: 'job beruf poste puesto cargo functie baan',
  description:
    'description beschreibung descripcion descricao descrizione omschrijving beschrijving descriptif desc descr descrip',
  value: 'value valor vlr wert valeur valore waarde',
  sale: 'sale verkauf vente venta venda vendita verkoop vta vda vte',
  room: 'room zimmer piece locali kamer comodo ambiente pcs zi raume vani',
  association: 'hoa condominio condominiali copropriete comunidad vve hausgeld',
  salutation: 'salutation anrede civilite tratamiento tratamento aanhef',
  industry: 'industry branche secteur sector setor settore industria',
  tag: 'tag tags etikett etiquette etiqueta etichetta label etiquettes schlagwort schlagworte trefwoord',
}

/**
 * Concepts that only say more about another word: a header that says nothing else says nothing, though a synonym such as
 * `Last` does.
 */
export const MODIFIER_CONCEPTS =
  'last next created modified max min total monthly work home number code original sold property contact customer listing class unit time built lost virtual name date type year'

/** What a concept says already where another one stands beside it: an e-mail address is an e-mail. */
export const IMPLIED_CONCEPTS: readonly (readonly [concept: string, implied: string])[] = [
  ['email', 'address'],
  ['phone', 'number'],
  ['mobile', 'number'],
  ['mobile', 'phone'],
  ['website', 'address'],
  ['website', 'url'],
  ['birth', 'date'],
  ['fax', 'number'],
  ['bedroom', 'number'],
  ['bathroom', 'number'],
  ['room', 'number'],
  ['bedroom', 'room'],
  ['bathroom', 'room'],
]

/** Words that single out the one that a record has room for: `Main phone number`, `Telefono principale`. */
export const PRIMARY_WORDS =
  'main best primary principal principale preferred default haupt primar primaer primaire hoofd current aktuell aktuelle actuel actuelle actual atual attuale huidig huidige full complete'

/** Words that say nothing in a header: `Contact information: Email`, `Field email`. */
export const EMPTY_WORDS =
  'info information informations infos informationen informacion informacao informazioni informatie field feld champ campo veld record datensatz entry eintrag details reach you we us datos dati dados daten donnees gegevens campos'

/** What stands behind what happened on a day: `Completado el` is that day, `Completado` only whether. */
export const DAY_WORDS = 'le el il em am op on at um du vom bis a'

/** What joins the parts of a German or Dutch compound: `Objektsbaujahr`, `Kundentelefon`. */
export const COMPOUND_LINKS = ['', 's', 'n', 'en', 'es', 'er', 'e'] as const
