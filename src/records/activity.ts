import * as f from './field.js'
import type { RecordType } from './types.js'

/** Something that was done or is to be done: a call, a meeting, a task, a note. */
export const activity: RecordType = {
  name: 'activity',
  table: 'activity',
  label: 'Activity',
  fields: [
    ...f.identityFields,
    f.choice(
      'type',
      'Type',
      ['CALL', 'EMAIL', 'MEETING', 'TASK', 'NOTE', 'SMS', 'SHOWING', 'OPEN_HOUSE', 'OTHER'],
      'What kind of activity this is.',
      {
        required: true,
        synonyms: {
          CALL: ['calls', 'phone call', 'phone', 'telephone', 'Anruf', 'Telefonat', 'appel', 'llamada', 'chiamata', 'chamada', 'telefoontje'],
          EMAIL: ['emails', 'e-mail', 'mail', 'list email', 'correo', 'courriel'],
          MEETING: ['meetings', 'event', 'appointment', 'lunch', 'Termin', 'Besprechung', 'rendez-vous', 'réunion', 'reunión', 'cita',
            'riunione', 'appuntamento', 'reunião', 'afspraak', 'vergadering'],
          TASK: ['tasks', 'to do', 'todo', 'deadline', 'cadence', 'reminder', 'follow up', 'Aufgabe', 'tâche', 'tarea', 'attività',
            'compito', 'tarefa', 'taak'],
          NOTE: ['notes', 'comment', 'memo', 'Notiz', 'nota', 'notitie'],
          SMS: ['text', 'text message', 'communication', 'communications', 'whatsapp', 'message'],
          SHOWING: ['showings', 'viewing', 'property showing', 'Besichtigung', 'visite', 'visita', 'bezichtiging'],
          OPEN_HOUSE: ['open home', 'open house event', 'openhouse'],
          OTHER: ['linkedin', 'custom', 'misc', 'Sonstiges', 'autre', 'otro', 'altro', 'outro', 'overig'],
        },
      },
    ),
    f.text('subject', 'Subject', 255, 'What it is about; the first line of the body when absent.', { required: true }),
    f.longText('body', 'Body', 'Text of the note, message or task.', { sensitive: true }),
    f.choice('status', 'Status', ['PLANNED', 'IN_PROGRESS', 'COMPLETED', 'CANCELED', 'NO_SHOW', 'DEFERRED'], 'Whether it has been done.', {
      required: true,
      defaultValue: 'PLANNED',
      synonyms: {
        PLANNED: ['not started', 'scheduled', 'rescheduled', 'open', 'queued', 'to do', 'todo', 'upcoming', 'pending', 'offen', 'geplant',
          'planifié', 'prévu', 'planificado', 'pianificato', 'planejado', 'gepland'],
        IN_PROGRESS: ['ringing', 'connecting', 'calling crm user', 'started', 'ongoing', 'in Arbeit', 'en cours', 'en curso', 'in corso',
          'em andamento', 'bezig'],
        COMPLETED: ['done', 'complete', 'closed', 'finished', 'held', 'ended', 'erledigt', 'abgeschlossen', 'terminé', 'fait', 'completado',
          'hecho', 'completato', 'fatto', 'concluído', 'feito', 'voltooid', 'klaar'],
        CANCELED: ['cancelled', 'abgesagt', 'annulé', 'cancelado', 'annullato', 'geannuleerd'],
        NO_SHOW: ['noshow', 'did not attend', 'missed'],
        DEFERRED: ['waiting', 'waiting on someone else', 'postponed', 'on hold', 'verschoben', 'reporté', 'aplazado', 'rimandato', 'adiado',
          'uitgesteld'],
      },
    }),
    f.choice('priority', 'Priority', ['HIGH', 'NORMAL', 'LOW'], 'How urgent it is.', {
      synonyms: {
        '': ['none', '--none--', 'no priority'],
        HIGH: ['urgent', 'important', 'hoch', 'haute', 'alta', 'hoog'],
        NORMAL: ['medium', 'mittel', 'moyenne', 'media', 'média', 'normaal'],
        LOW: ['niedrig', 'basse', 'baja', 'bassa', 'baixa', 'laag'],
      },
    }),
    f.choice('direction', 'Direction', ['INBOUND', 'OUTBOUND', 'INTERNAL'], 'Who got in touch.', {
      synonyms: {
        '': ['none', '--none--'],
        INBOUND: ['incoming', 'in', 'received', 'INCOMING_EMAIL', 'eingehend', 'entrant', 'entrante', 'in entrata', 'inkomend'],
        OUTBOUND: ['outgoing', 'out', 'sent', 'FORWARDED_EMAIL', 'ausgehend', 'sortant', 'saliente', 'in uscita', 'uitgaand'],
        INTERNAL: ['intern', 'interne', 'interno'],
      },
    }),
    f.text('outcome', 'Outcome', 100, 'What came of it, e.g. `Left voicemail`.'),
    f.dateTime('startAt', 'Start', 'When it starts.'),
    f.dateTime('endAt', 'End', 'When it ends.'),
    f.date('dueOn', 'Due', 'Day by which it is to be done; never shifted by a time zone.'),
    f.integer('durationSeconds', 'Duration in seconds', [0, 2_147_483_647], 'How long it took, in seconds.'),
    f.dateTime('completedAt', 'Completed', 'When it was done.'),
    f.text('location', 'Location', 255, 'Where it takes place.'),
    f.tags,
    f.reference('contact', 'Contact', 'contact', ['externalId', 'email'], 'The contact that it is about.'),
    f.reference('lead', 'Lead', 'lead', ['externalId', 'email'], 'The lead that it is about.'),
    f.reference('property', 'Property', 'property', ['externalId', 'listingId'], 'The property that it is about.'),
    f.owner,
    ...f.sourceTimes,
  ],
  checks: [
    {
      name: 'ends_after_start',
      sql: 'start_at <= end_at',
      message: 'The end is before the start.',
      fields: ['startAt', 'endAt'],
    },
  ],
  matchable: ['externalId'],
  naturalKeys: [],
  oneOf: [],
}
