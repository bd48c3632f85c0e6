/**
 * What other systems and people call the choices of a field, beyond the words that the importer reads by itself: the
 * suggestion puts these into the value map of the column, where a person can see and change them. By record type and
 * field, then by option; words are separated by commas, and neither case, accents, signs nor endings matter
 * (`Reservado` is also `Reservada`). A word that may mean two options stands nowhere.
 */
import type { RecordTypeName } from '../../records/types.js'

export type Choices = Readonly<
  Partial<Record<RecordTypeName, Readonly<Record<string, Readonly<Record<string, string>>>>>>
>

const transaction: Readonly<Record<string, string>> = {
  SALE: 'for sale by owner, sales, resale, sale only, purchase, zum kauf, zu verkaufen, kaufen, eigentum, à vendre, acheter, ventes, en venta, se vende, comprar, vender, à venda, vendas, in vendita, acquisto, comprare, te koop, kopen, verkoop',
  LEASE:
    'lease, leasing, long let, short let, lettings, rental property, zur miete, zu vermieten, mieten, pacht, locations, louer, en alquiler, se alquila, alquilar, arriendo, arrendamiento, renta, en renta, locação, para alugar, alugar, arrendar, para arrendar, aluguer, in affitto, affittasi, affittare, locazione, te huur, huren, verhuren, verhuur',
  BOTH: 'kauf oder miete, vente ou location, venta o alquiler, venta y alquiler, venda ou aluguel, venda e aluguel, venda ou arrendamento, vendita o affitto, vendita e affitto, koop of huur, buy or rent, sale & rent',
}

export const CHOICES: Choices = {
  contact: {
    kind: {
      PERSON:
        'private person, natural person, natürliche person, personne physique, persona física, pessoa física, pessoa singular, persona fisica, privato, particular, natuurlijk persoon, privé persoon, private individual',
      ORGANIZATION:
        'legal entity, corporation, juristische person, gesellschaft, personne morale, professionnel, persona jurídica, sociedad, pessoa jurídica, pessoa coletiva, persona giuridica, società, ditta, rechtspersoon, zakelijk, organisatie, organización, organização, organizzazione',
    },
  },
  lead: {
    leadType: {
      BUYER:
        'buyer lead, home buyer, first time buyer, looking to buy, kaufgesuch, kauf, käuferin, suchkunde, achat, acquéreur, acheteuse, compra, compradora, comprar, acquisto, compratore, acquirente, koop, aankoop, kopende partij, aankoper',
      SELLER:
        'seller lead, home seller, looking to sell, verkauf, verkäuferin, eigentümer, vente, vendeuse, propriétaire, venta, propietario, venda, proprietário, vendita, venditrice, proprietario, verkoop, verkopende partij, eigenaar',
      RENTER:
        'renter lead, looking to rent, mietgesuch, miete, mieterin, mietinteressent, location, locataire, alquiler, arrendatario, inquilina, aluguel, arrendatário, locatário, affitto, locatario, affittuario, huur, huurkandidaat',
      LANDLORD: 'vermietung, vermieterin, propriétaire bailleur, arrendadora, proprietario locatore, verhuur',
      INVESTOR:
        'investor lead, kapitalanlage, anleger, investissement, inversión, inversionista, investimento, investering',
      OTHER: 'none of these, sonstiges, divers, otros, outros, andere, anders',
    },
    status: {
      NEW: 'new inquiry, new enquiry, fresh, unassigned, neue anfrage, neuer lead, eingegangen, nouvelle, nouvelle demande, à traiter, nueva, sin contactar, pendiente, nova, não contatado, nuova, da contattare, nieuwe, niet benaderd, te benaderen',
      OPEN: 'in bearbeitung offen, ouverte, en attente, abierta, aperta, aberta, openstaand',
      ATTEMPTED:
        'attempted, call attempted, unable to reach, nicht erreicht, kontaktversuch, tentative, injoignable, non joint, intentado, no contesta, sin respuesta, tentativa, não atende, sem resposta, tentato, non risponde, geprobeerd, niet bereikt, geen gehoor',
      CONTACTED:
        'contact made, engaged, meeting booked, in bearbeitung, in kontakt, kontakt aufgenommen, angerufen, en cours, contactée, en contact, en proceso, en curso, en gestión, contactada, em andamento, em atendimento, contatado, contatada, contactado, in lavorazione, in corso, contattata, in behandeling, benaderd, contact gelegd, in gesprek',
      QUALIFIED:
        'sql, mql, marketing qualified, hot lead, active client, viewing, offer made, qualifizierte, besichtigung, qualifiée, visite, cualificado, cualificada, visita, qualificata, bezichtiging, bezichtigd',
      NURTURING:
        'nurturing, follow up later, watch, on hold, wiedervorlage, später, langfristig, à relancer, relance, seguimiento, nutrición, más adelante, acompanhamento, nutrição, da ricontattare, in attesa, opvolgen, later opvolgen, warm houden',
      UNQUALIFIED:
        'trash, bad lead, not interested, wrong number, fake, ungeeignet, kein interesse, nicht interessiert, non qualifié, pas intéressé, no interesado, descartado, no calificado, não interessado, desqualificado, descartada, non interessato, scartato, non qualificato, niet geïnteresseerd, afgevallen, ongeschikt',
      CONVERTED:
        'converted to client, under contract, signed, sold, abgeschlossen, kunde, verkauft, converti, gagnée, conclu, vendu, convertido, convertida, ganada, cerrado ganado, vendido, ganha, fechado, convertito, vinta, chiuso vinto, concluso, geconverteerd, klant, verkocht',
      LOST: 'closed - lost, lost lead, verlorene, abgesagt, absage, perdue, abandonné, perdida, cerrado perdido, cancelado, persa, chiuso perso, afgewezen, verloren lead',
    },
    rating: {
      HOT: 'very hot, a lead, high, sehr interessiert, hoch, élevé, chaude, muy interesado, alta, alto, calda, hoog',
      WARM: 'warm lead, mid, moderate, warme, mittel, tiède, moyen, templado, media, medio, tibia, tiepida, lauw, gemiddeld',
      COLD: 'cold lead, low, kalte, niedrig, froide, faible, fría, baja, bajo, baixa, fria, fredda, bassa, laag, koude',
    },
    transactionType: transaction,
  },
  property: {
    standardStatus: {
      ACTIVE:
        'on the market, live, published, open, back on market, a, verfügbar, frei, online, im angebot, in vermarktung, disponible, en ligne, en vente, à vendre, à louer, en venta, en alquiler, publicado, disponível, à venda, para alugar, publicado, disponibile, in vendita, in affitto, pubblicato, beschikbaar, te koop, te huur',
      ACTIVE_UNDER_CONTRACT:
        'sale agreed, offer accepted, under offer, active option, active kick out, unter angebot, sous offre, offre acceptée, bajo oferta, con oferta, sob proposta, proposta accettata, onder bod, verkocht onder voorbehoud',
      CLOSED:
        'sold and closed, completed, let agreed, rental closed, exchanged, s, beurkundet, abgeschlossen, vendue, louée, signé, vendida, alquilada, alugado, alugada, arrendado, arrendada, escriturado, venduta, affittato, affittata, rogitato, verhuurd, getransporteerd',
      PENDING:
        'sold stc, sold subject to contract, stc, reserved, in escrow, p, reservierung, vorgemerkt, notartermin, compromis, sous compromis, sous promesse, réservé, réservée, reservado, reservada, señalizado, arras, sinalizado, em negociação, opzionato, riservato, in trattativa, prenotato, gereserveerd, onder optie, optie',
      COMING_SOON:
        'soon, demnächst, in kürze, in vorbereitung, vorankündigung, bientôt, prochainement, próximamente, pronto, em breve, prossimamente, in arrivo, binnenkort, binnenkort te koop',
      EXPIRED:
        'lapsed, x, abgelaufen, ausgelaufen, expiré, expirée, échu, vencido, caducado, expirado, expirada, scaduto, scaduta, verlopen, vervallen',
      WITHDRAWN:
        'taken off market, unlisted, w, vom markt genommen, zurückgezogene, inaktiv, retirée, suspendu, hors marché, retirada, baja, de baja, inactivo, inativo, ritirata, sospeso, non attivo, teruggetrokken, uit verkoop, niet actief',
      HOLD: 'paused, suspended, pausiert, en pause, en pausa, pausado, suspenso, in pausa, gepauzeerd',
      CANCELED:
        'cancelled listing, terminated, stornierte, beendet, annulée, résilié, cancelada, anulado, rescindido, annullata, rescisso, beëindigd, geannuleerde',
      INCOMPLETE:
        'unpublished, in erfassung, en cours de saisie, incomplet, borrador, incompleto, rascunho, bozza, incompleta, concept, onvolledig',
    },
    transactionType: transaction,
  },
  activity: {
    type: {
      CALL: 'outbound call, inbound call, telefon, telefonanruf, anruf ausgehend, telefongespräch, téléphone, appel téléphonique, llamada telefónica, teléfono, ligação, telefonema, telefonata, telefono, telefoongesprek, telefoon, bellen, gebeld, belafspraak',
      EMAIL: 'email sent, correo electrónico, e-mail senden, mailen, e-mail versturen, posta elettronica',
      MEETING:
        'face to face, video call, zoom, in person, treffen, gespräch, beratung, rdv, rendezvous, entretien, visioconférence, encuentro, incontro, encontro, overleg, gesprek, kennismaking',
      TASK: 'action item, zu erledigen, action, à faire, por hacer, pendiente, a fazer, da fare, te doen, actie',
      NOTE: 'internal note, vermerk, remarque, anotación, anotação, appunto, aantekening, opmerking',
      SMS: 'sms text, textnachricht, texto, mensaje, mensagem, messaggio, tekstbericht',
      SHOWING:
        'private showing, property viewing, second viewing, besichtigungstermin, ortstermin, visite du bien, contre visite, visita inmueble, visita ao imóvel, sopralluogo, visita immobile, bezichtigingsafspraak, kijkmoment',
      OPEN_HOUSE:
        'broker open, offene besichtigung, tag der offenen tür, portes ouvertes, journée portes ouvertes, puertas abiertas, jornada de puertas abiertas, casa aberta, porte aperte, open huis, open huizen dag',
      OTHER: 'various, andere, divers, otros, outros, anders',
    },
    status: {
      PLANNED:
        'confirmed, booked, anstehend, ausstehend, bestätigt, à venir, à faire, planifiée, confirmé, pendiente, programado, programada, confirmado, confirmada, por hacer, agendado, agendada, marcado, planejada, pendente, a fazer, da fare, programmato, programmata, confermato, pianificata, in attesa, te doen, ingepland, bevestigd, openstaand',
      IN_PROGRESS:
        'in process, in bearbeitung, laufend, en proceso, em progresso, in lavorazione, in uitvoering, in behandeling',
      COMPLETED:
        'attended, success, took place, durchgeführt, stattgefunden, fertig, terminée, effectué, effectuée, réalisé, réalisée, faite, completada, realizada, realizado, hecha, finalizado, finalizada, concluída, feita, completata, fatta, effettuato, effettuata, svolto, conclusa, afgerond, gedaan, afgehandeld, geweest',
      CANCELED: 'called off, storniert, annulée, cancelada, anulada, annullata, disdetto, afgezegd, geannuleerde',
      NO_SHOW:
        'not attended, nicht erschienen, absent, no asistió, no se presentó, não compareceu, faltou, assente, non presentato, niet verschenen, niet gekomen',
      DEFERRED:
        'rescheduled later, vertagt, reportée, aplazada, pospuesto, pospuesta, adiada, remarcado, rinviato, rinviata, verzet, verplaatst',
    },
    priority: {
      HIGH: 'very high, highest, critical, asap, p1, dringend, sehr hoch, wichtig, élevée, haut, urgente, importante, alto, máxima, belangrijk, dringende, spoed',
      NORMAL:
        'standard, moderate, average, p2, mittlere, normale, moyen, medio, média, médio, normal, gemiddeld, middel',
      LOW: 'lowest, p3, geringe, gering, faible, bas, bajo, baixo, basso, lage',
    },
    direction: {
      INBOUND:
        'inbound call, incoming call, eingang, reçu, appel entrant, llamada entrante, recibida, recebida, chamada recebida, ricevuta, binnenkomend, ontvangen',
      OUTBOUND:
        'outbound call, outgoing call, ausgang, émis, appel sortant, llamada saliente, realizada, efetuada, chamada realizada, effettuata, gebeld, verzonden',
    },
  },
}
