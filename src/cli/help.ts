/** What `--help` shows. */

const connection = `  --url URL              where the API is (default: PORTAGE_URL, else this machine)
  --token TOKEN          sign-in token (default: PORTAGE_TOKEN, else one for the tenant "demo" of this machine)`

const overview = `portage: move data into and out of Portage

Usage: npm run -s portage -- COMMAND [options]

  import FILE --type T   import a file and watch it to its end
  export TYPE -o FILE    write records to a file and download it
  download RUN           download what a run has made
  templates              list export templates and their schedules
  plan RUN               show what an import would do
  confirm RUN            apply the plan of an import
  inspect FILE           tell what a file is and how it would be read (needs no server)
  runs                   list runs, newest first
  watch RUN              watch a run to its end, or show how it went
  rollback RUN           undo an import
  bundle export -o FILE  write everything of a tenant into one signed file
  bundle import FILE     take such a file in
  migrate create CONN    move in from another CRM; connections, objects, stage, promote, verify, delta,
                         watch and show follow migrate, too
  audit export -o FILE   write the audit to a file that can be checked anywhere
  audit verify [FILE]    check the audit of a tenant, or such a file without a server
  webhook list           list webhooks; save, delete, deliveries and replay follow webhook, too
  tenant create NAME     make a tenant (needs the database)
  tenant list            list tenants (needs the database)
  tenant export NAME     write everything of a tenant into one signed file (needs this machine's secret)
  tenant erase NAME      erase a tenant for good (needs the database and the store)
  tenant erase-person NAME CONTACT
                         erase a person from a tenant for good (needs the database and the store)
  tenant quotas NAME     show what a tenant uses of what its plan allows (needs the database)
  tenant set NAME        give a tenant a plan or limits of its own (needs the database)
  tenant plans           list plans; plan-save makes or changes one (needs the database)
  token                  make a sign-in token (needs this machine's secret)
  doctor                 look whether everything that Portage needs is there (needs the settings of the service)

  COMMAND --help         more about one command

Exit codes: 0 completed, 2 completed with errors (or with conflicts), 1 failed or refused, 130 interrupted.`

const reading = `  --sheet S              sheet of a workbook
  --encoding E           e.g. windows-1252 or shift_jis
  --delimiter D          what stands between cells: one character, or tab
  --quote Q              " or ', or an empty text for none
  --header-row N         row of the header; 0: the file has none
  --json-path P          where the records stand in a JSON file, e.g. data.items`

const texts: Readonly<Record<string, string>> = {
  import: `portage import: import a file and watch it to its end

Usage: npm run -s portage -- import FILE --type contact|lead|property|activity [options]

  --type T               what the rows are
  --plan                 first rehearse the whole file without writing anything, show what it would do, and ask
  --yes, -y              do not ask whether the mapping is right; with --plan: apply the plan if no row of it fails
  --on-drift D           with --plan, of rows whose record has changed since: skip-row (default), apply or fail-run
  --map "Column=field"   the column becomes this field; "Column=" leaves it out; may be repeated
  --format "Column=F"    how dates or numbers of the column are written, e.g. "Born=dd/MM/yyyy"; may be repeated
  --on-duplicate D       update (default), fill-blanks, skip, create or fail
  --match-on FIELDS      how existing records are found, e.g. email or firstName,lastName; may be repeated, tried in order
  --operation O          upsert (default), update-only or delete
  --source-system S      the system that the external ids in the file belong to
  --date-format F        how all dates in the file are written
  --time-zone Z          time zone of date-times without one, e.g. Europe/Berlin
  --country C            country of phone numbers without a code, e.g. DE
${reading}
  --json                 JSON lines instead of text: one per event, the report last
${connection}

A file of 64 MiB or more goes on after a broken connection where it stopped; so does one whose upload was ended, when
the command is given again within a day.

Without --yes the suggested mapping is shown first and you are asked; without a terminal the command then refuses.
With --plan you are asked once, when you have seen what would happen. If you say no, press Ctrl-C or are not there, the
import waits with its plan: "plan RUN" shows it, "confirm RUN" applies it.

Example: npm run -s portage -- import examples/contacts.csv --type contact --map "Fax no.=fax" --yes`,
  export: `portage export: write records to a file and download it

Usage: npm run -s portage -- export contact|lead|property|activity -o FILE [options]
       npm run -s portage -- export --template NAME -o FILE [options]

  -o, --output FILE      the file to write; .csv, .xlsx, .json, .ndjson and .gz behind them say the format
  --filter F             e.g. city=Berlin, "createdAt>=2026-01-01T00:00:00Z", email!= (has one), phone= (has none),
                         lastName*=part, lastName^=start; or the JSON of a RecordFilterInput; may be repeated: all must hold
  --columns LIST         fields with commas, headers before them: id,contact.email,"Family name=lastName"
  --order LIST           fields with commas, :desc behind those that go down: lastName,createdAt:desc
  --template NAME        an export template; what is said here goes before what it says
  --format F             csv, xlsx, json or ndjson
  --gzip                 pack it
  --delimiter D          what stands between cells: one sign, or tab
  --encoding E           e.g. windows-1252
  --bom                  a byte order mark
  --date-format F        e.g. dd.MM.yyyy
  --time-zone Z          e.g. Europe/Berlin
  --null-text T          what stands where there is no value
  --decimal-separator S  . or ,
  --exact                leave text that looks like a formula as it is
  --preview              show the first rows, and export nothing
  --json                 JSON lines instead of text: one per event, what was downloaded last
${connection}

The file appears when all of it is there and its SHA-256 is right. A download that breaks off goes on where it was; after
Ctrl-C, "download RUN -o FILE" does that.

Example: npm run -s portage -- export contact --filter email!= --columns id,email,lastName --order lastName -o people.csv`,
  download: `portage download: download what a run has made

Usage: npm run -s portage -- download RUN [options]

  -o, --output FILE      the file to write (default: as it is called, in this folder)
  --json                 one line of JSON
${connection}

Goes on where an earlier download of the same file stopped, and checks its SHA-256.`,
  templates: `portage templates: list export templates, their schedules and how they went

Usage: npm run -s portage -- templates [options]

  --json                 one template per line, as JSON
${connection}`,
  plan: `portage plan: show what an import would do, or was started with

Usage: npm run -s portage -- plan RUN [options]

  --rows N               the first N rows, at most 500, instead of the first ones of each kind
  --outcome O            only rows that would be created, updated, unchanged, skipped, failed or deleted; may be repeated
  --json                 one line of JSON
${connection}

Example: npm run -s portage -- plan run_01m827ej6yeym8tjdrsdesyc3p --outcome failed --rows 100`,
  confirm: `portage confirm: apply the plan of an import

Usage: npm run -s portage -- confirm RUN [options]

  --hash H               only if the plan that stands has this hash
  --yes, -y              do not ask; the plan is shown and applied
  --json                 JSON lines instead of text: the plan, then one per event, the report last
${connection}

Shows the plan and asks, then watches the import to its end. Exactly that plan is applied: a row whose record has changed
since is left out, or what --on-drift said when the import was made.`,
  inspect: `portage inspect: tell what a file is and how it would be read

Usage: npm run -s portage -- inspect FILE [options]

  --rows                 every row as a line of JSON instead: first the header, {"row": 1, "header": [...]}, then the
                         data, {"row": 2, "cells": [...]}; a row with a fault says so: {"row": 3, "error": {...}, "cells": [...]}
${reading}

Works on CSV and its kin, XLSX, XLS, XLSB, ODS, JSON and NDJSON, each also in GZIP or in a ZIP with one file. What is
told is what an import would use; nothing leaves this machine. A file without a header has null as the header's row.

Example: npm run -s portage -- inspect examples/contacts.csv`,
  runs: `portage runs: list runs, newest first

Usage: npm run -s portage -- runs [options]

  --first N              how many (default 20, at most 500)
  --status S             only runs in this status, e.g. running or completed-with-errors; may be repeated
  --json                 one run per line, as JSON
${connection}`,
  watch: `portage watch: watch a run to its end, or show how it went

Usage: npm run -s portage -- watch RUN [options]

  --json                 JSON lines instead of text: one per event, the report last
${connection}

The run does not need you: Ctrl-C ends the watching only.`,
  rollback: `portage rollback: undo an import

Usage: npm run -s portage -- rollback RUN [options]

  --on-conflict C        what happens to fields that were changed since the import:
                         keep (default) keeps the later change and lists it,
                         force puts the old value back, abort undoes nothing if there is any
  --json                 JSON lines instead of text: one per event, the report last
${connection}`,
  bundle: `portage bundle: everything of a tenant in one file, out and in

Usage: npm run -s portage -- bundle export -o FILE [options]
       npm run -s portage -- bundle import FILE [options]

  -o, --output FILE      where the bundle is written
  --passphrase-file F    a file with the passphrase that closes or opens the bundle
  --consent TOKEN        consent of the tenant that made the bundle (bundleConsentCreate), where that is another one
  --on-duplicate D       update (default), fill-blanks, skip, create or fail
  --confirmation C       always (default), if-no-errors or ask: each import of the bundle then waits for "confirm RUN"
  --json                 JSON lines instead of text
${connection}

A bundle is a ZIP archive that any program unpacks, unless it has a passphrase; docs/PORTABILITY.md tells what is in it.`,
  audit: `portage audit: the audit as a file, and whether it is as it was written

Usage: npm run -s portage -- audit export -o FILE
       npm run -s portage -- audit verify [FILE] [--head SEQUENCE:HASH] [--key KEY]

  -o, --output FILE      of export: where the entries are written, as NDJSON; the head is printed: keep it elsewhere
  --head SEQUENCE:HASH   of verify: a head that you have kept; shows whether anything before it was changed or cut off
  --key KEY              of verify FILE: the public key of the deployment (\`auditHead { publicKey }\`)
  --json                 JSON instead of text
${connection}

verify without a file has the server check its database; with one it needs no server. Exit codes: 0 all as it was written,
1 broken. Needs the permission AUDIT_READ.

Example: npm run -s portage -- audit export -o audit.ndjson && npm run -s portage -- audit verify audit.ndjson`,
  migrate: `portage migrate: move in from another CRM

Usage: npm run -s portage -- migrate connections
       npm run -s portage -- migrate objects CONNECTION
       npm run -s portage -- migrate create CONNECTION [--object contacts=contact ...] [options]
       npm run -s portage -- migrate stage|promote|verify|delta MIGRATION
       npm run -s portage -- migrate watch|show MIGRATION

  --object O=T           an object of the CRM and what its records become: contact, lead, property or activity; in load
                         order; may be repeated (default: all objects that have a suggestion, as objects lists them)
  --sample N             of create: only N records of each object, and all that they refer to
  --filter O=CONDITION   of create: only these records, in the words of the CRM; may be repeated
  --changed-here C       of create: keep (default) what was changed here since when a delta brings it, or overwrite it
  --json                 JSON lines instead of text: one per stage, the migration last
${connection}

create looks at the objects; stage reads them and shows what would happen without writing a record; promote writes and proves;
delta reads what has changed since. A command ends when the migration waits for the next one. A pause for a limit of the CRM
ends by itself; after Ctrl-C the migration goes on, and watch shows it. "rollback MIGRATION" undoes all of it. Connections are
made in the console or with the API.

Example: npm run -s portage -- migrate create int_2xZ --object companies=contact --object contacts=contact --sample 100`,
  webhook: `portage webhook: addresses that are told what happens

Usage: npm run -s portage -- webhook list
       npm run -s portage -- webhook save ADDRESS --event E [--id WEBHOOK] [--rotate-secret]
       npm run -s portage -- webhook delete WEBHOOK
       npm run -s portage -- webhook deliveries WEBHOOK [--first N]
       npm run -s portage -- webhook replay DELIVERY

  --event E              run-started, run-action-needed, run-completed, run-failed, run-rolled-back or records-changed;
                         may be repeated
  --id WEBHOOK           of save: writes this one anew and enables it; without it a new one is made
  --rotate-secret        of save: makes a new secret; the one before signs besides for a day
  --first N              of deliveries: the newest N, at most 500 (default: 20)
  --json                 JSON lines instead of text
${connection}

The secret is shown once. docs/PROTOCOL.md tells what is sent and how it is signed; examples/ has receivers. Needs the permission
SETTINGS_MANAGE.

Example: npm run -s portage -- webhook save https://hooks.example.com/portage --event run-completed --event run-failed`,
  doctor: `portage doctor: whether everything that Portage needs is there

Usage: npm run -s portage -- doctor [--json]

  --json                 JSON lines instead of text

Looks at settings, database (version, schema, roles that cannot pass by row-level security), store (writes, reads and deletes a file),
room on the disk, clock, mail server, virus scanner, workers, queue and the API. One line each, with what to do. Changes nothing.
Run it where the service runs, with its settings. Exit codes: 0 nothing is wrong (warnings aside), 1 something is.`,
  tenant: `portage tenant: make, list, limit, export and erase tenants

Usage: npm run -s portage -- tenant create NAME
       npm run -s portage -- tenant list
       npm run -s portage -- tenant export NAME -o FILE [--passphrase-file F]
       npm run -s portage -- tenant erase NAME [--confirm NAME]
       npm run -s portage -- tenant erase-person NAME CONTACT [--confirm CONTACT]
       npm run -s portage -- tenant quotas NAME
       npm run -s portage -- tenant set NAME [--plan PLAN] [QUOTA=LIMIT|QUOTA=plan ...]
       npm run -s portage -- tenant plans
       npm run -s portage -- tenant plan-save PLAN [QUOTA=LIMIT|QUOTA=none ...]

  --json                 JSON instead of text
  -o, --output FILE      of export: where the bundle is written; Portage must be running
  --passphrase-file F    of export: a file with the passphrase that closes the bundle
  --confirm NAME         of erase: the name of the tenant once more; else you are asked for it

erase deletes all rows and files of the tenant, says how many there were, and goes on where it stopped when it is called
again (by the id, once the name is gone). Backups are yours to deal with.

Works on the database: the one of DATABASE_URL, or the one that \`npm start\` runs on this machine.`,
  token: `portage token: make a sign-in token; prints the token and nothing else

Usage: npm run -s portage -- token --tenant T --actor A --permissions all|LIST [--expires 1h]

  --tenant T             name or id of the tenant
  --actor A              who acts, e.g. an e-mail address; shown on runs
  --permissions P        all, or a list with commas, e.g. RECORD_READ,IMPORT_RUN,ROLLBACK_RUN
  --expires D            how long it is good: 90s, 15m, 1h (default), 7d

Works with this machine's secret and database, where sign-in tokens are Portage's own.

Example: export PORTAGE_TOKEN=$(npm run -s portage -- token --tenant demo --actor ada@example.com --permissions all)`,
}

/** Help of a command; the overview for null and for one that there is not. */
export function help(command: string | null): string {
  return texts[command ?? ''] ?? overview
}

/** Whether there is such a command. */
export function isCommand(name: string): boolean {
  return Object.hasOwn(texts, name)
}
