/**
 * Every number that bounds what Portage takes in, keeps or does at once. Sections follow the road of a row; names are in
 * alphabetical order within a section and carry their unit.
 */

// ------------------------------------------------------------------------------------------------ files

/** Files in a ZIP archive, a workbook's own among them, or empty parts of a GZIP file; one with more is refused as unsafe. Files. */
export const ARCHIVE_ENTRIES_MAX = 10_000

/** Parts of a GZIP file that unpack to less are small: to begin one costs more than to unpack it. Bytes. */
export const GZIP_SMALL_PART_BYTES = 512

/** Small parts in a GZIP file; one with more is refused as unsafe. 36 microseconds each were measured. Parts. */
export const GZIP_SMALL_PARTS_MAX = 10_000

/** A process that completes an upload says so often enough that its claim stands; without that, another may begin. Seconds. */
export const UPLOAD_CLAIM_SECONDS = 30

/** A longer value in a file is a VALUE_TOO_LONG fault of its row. Bytes of UTF-8. */
export const CELL_BYTES_MAX = 1024 * 1024

/** A line with more cells is a ROW_TOO_LARGE fault. As many as a spreadsheet can have. Cells. */
export const CELLS_PER_ROW_MAX = 16_384

/** A file whose header names more columns is refused. Columns. */
export const COLUMNS_MAX = 2_000

/** Longer column names are cut. UTF-16 code units. */
export const COLUMN_NAME_LENGTH_MAX = 200

/** Distinct values of a column that are shown as samples. */
export const DETECTED_SAMPLES_MAX = 20

/** Most frequent values of a column that are kept with a file. */
export const DETECTED_TOP_VALUES_MAX = 50

/** How much of a file's beginning is looked at to find out what it is. Bytes. */
export const FILE_HEAD_BYTES_MAX = 256 * 1024

/** A workbook that is packed in an archive is held in memory; a larger one is refused. Bytes. */
export const HELD_FILE_BYTES_MAX = 128 * 1024 * 1024

/** Objects and arrays within each other in a JSON file; a record with more is an UNPARSABLE_ROW fault. Levels. */
export const JSON_DEPTH_MAX = 64

/** What an XLSB workbook may unpack to, for it is held in memory as a whole. Unpacked bytes. */
export const LEGACY_UNPACKED_BYTES_MAX = 64 * 1024 * 1024

/** XLS and XLSB workbooks and web pages are held in memory as a whole; larger ones are refused. Bytes. */
export const LEGACY_WORKBOOK_BYTES_MAX = 64 * 1024 * 1024

/** A longer number format of a workbook is taken for none. As long as Excel allows. UTF-16 code units. */
export const NUMBER_FORMAT_LENGTH_MAX = 255

/** A corrected file of failed rows whose rows are not in their order is sorted in memory up to this. Estimated bytes. */
export const RETRY_UNSORTED_BYTES_MAX = 33_554_432

/** A longer row is a ROW_TOO_LARGE fault and its cells are not kept. Bytes of UTF-8, without the line end. */
export const ROW_BYTES_MAX = 8 * 1024 * 1024

/** A longer line of a row file is broken: as long as the longest row can become, every character escaped. Bytes. */
export const ROW_FILE_LINE_BYTES_MAX = 64 * 1024 * 1024

/** Samples and frequent values are cut at this. UTF-16 code units. */
export const SAMPLE_LENGTH_MAX = 200

/** Children that one process reads hostile files in at a time; further files wait. Children. */
export const SANDBOX_CHILDREN_MAX = 2

/** Heap of such a child. Larger is the file's fault, and its end; an XLS of 65,535 rows and 15 columns takes 600. MiB. */
export const SANDBOX_HEAP_MIB = 1024

/** Memory of such a child in all, looked at from outside. Bytes resident. */
export const SANDBOX_MEMORY_BYTES_MAX = 1280 * 1024 * 1024

/** What such a child may tell about a file. UTF-16 code units. */
export const SANDBOX_MESSAGE_BYTES_MAX = 64 * 1024 * 1024

/** Rows that such a child may give, as they are written to a row file. Bytes. */
export const SANDBOX_OUTPUT_BYTES_MAX = 16 * 1024 * 1024 * 1024

/**
 * Half of the part of such a child's heap in which new values are made. Rows die young: with V8's own choice the child took
 * 250 MB for a workbook of a million rows rather than 120, and was no faster. MiB.
 */
export const SANDBOX_SEMI_SPACE_MIB = 4

/** Without a sign of life for so long a child is taken for lost, and another is tried. Milliseconds. */
export const SANDBOX_SILENCE_MS_MAX = 60_000

/** Processor time of a child without a row and without a new byte of the file: so much, and so much more for each MiB of it. Milliseconds. */
export const SANDBOX_STALL_MS_MAX = 8_000
export const SANDBOX_STALL_MS_PER_MIB = 2_000

/** However large the file is, processor time without a row and without a new byte of it ends here. Milliseconds. */
export const SANDBOX_STALL_LONGEST_MS_MAX = 30_000

/** Texts that the cells of a workbook share are kept in memory; a workbook with more is refused. Bytes of UTF-8. */
export const SHARED_STRINGS_BYTES_MAX = 192 * 1024 * 1024

/** The same. Different texts. */
export const SHARED_STRINGS_MAX = 10_000_000

/** Further ones are packed in memory. Bytes, with what it takes to find them. */
export const SHARED_STRINGS_PLAIN_BYTES_MAX = 4 * 1024 * 1024

/** Rows of a larger sheet have to stand in their order; those of a smaller one are put in order. Unpacked bytes. */
export const SHEET_SORTED_BYTES_MAX = 4 * 1024 * 1024

/** How many rows of a sheet are looked at to find out what it holds. Rows. */
export const SHEET_HEAD_ROWS = 1_000

/** How much of a CSV file is read at a time once reading is under way; larger blocks were no faster. Bytes. */
export const SOURCE_BLOCK_BYTES = 256 * 1024

/** Rows that a source hands over at once, so that a row costs no await. Rows. */
export const SOURCE_GROUP_ROWS_MAX = 128

/** How much of an archive is read and unpacked at a time; blocks of twice and half the size were as fast. Bytes. */
export const UNPACK_BLOCK_BYTES = 64 * 1024

/** Smaller files in an archive may be packed more tightly than UNPACK_RATIO_MAX. Unpacked bytes. */
export const UNPACK_RATIO_BYTES_MIN = 10 * 1024 * 1024

/** Unpacked bytes for each packed one; a file in an archive above that is refused as unsafe. Sheets pack to 5 to 30. */
export const UNPACK_RATIO_MAX = 200

/** What is read of one archive, all files in it together. Unpacked bytes. */
export const UNPACKED_BYTES_MAX = 8 * 1024 * 1024 * 1024

/** One of the parts that tell of a workbook's sheets and formats; a larger one is refused. Unpacked bytes. */
export const WORKBOOK_PART_BYTES_MAX = 64 * 1024 * 1024

/** Sheets of a workbook. */
export const WORKBOOK_SHEETS_MAX = 1_000

/** A longer value has no room in a cell of a workbook that is written. Excel's limit. UTF-16 code units. */
export const WORKBOOK_CELL_LENGTH_MAX = 32_767

/** Columns of a workbook that is written. Excel's limit. */
export const WORKBOOK_COLUMNS_MAX = 16_384

/** A sheet that is written ends before its XML comes to this, and another follows: without ZIP64, no part may reach 4 GiB. Bytes. */
export const WORKBOOK_SHEET_BYTES_MAX = 4_000_000_000

/** Rows of a sheet that is written, its header among them; what comes behind stands in further sheets. Excel's limit. */
export const WORKBOOK_SHEET_ROWS_MAX = 1_048_576

/** A tag or comment in a workbook without an end up to here makes it unreadable. UTF-16 code units. */
export const XML_TOKEN_LENGTH_MAX = 1024 * 1024

// ------------------------------------------------------------------------------------------------ mapping

/** Heads of files that one process keeps for previews. Bytes, estimated. */
export const PREVIEW_CACHE_BYTES_MAX = 64 * 1024 * 1024

/** For how long; then the file is read again. Milliseconds. */
export const PREVIEW_CACHE_MS_MAX = 300_000

/** How much of the beginning of a file a preview looks at for the formats of its columns. Bytes of text, and rows. */
export const PREVIEW_LOOKED_BYTES_MAX = 4 * 1024 * 1024
export const PREVIEW_LOOKED_ROWS_MAX = 1_000

/** Rows of one preview. */
export const PREVIEW_ROWS_MAX = 50

/** Rows of a preview of an export. */
export const EXPORT_PREVIEW_ROWS_MAX = 100

/** Cron expression of an export template. Characters. */
export const EXPORT_SCHEDULE_LENGTH_MAX = 100

/** A schedule that starts exports closer together is refused. Minutes. */
export const EXPORT_SCHEDULE_MINUTES_MIN = 5

/** Export templates of a tenant. */
export const EXPORT_TEMPLATES_MAX = 200

/** Mapping templates of a tenant that are not archived. */
export const MAPPING_TEMPLATES_MAX = 500

/** Versions of one mapping template: it has been saved so often. */
export const MAPPING_TEMPLATE_VERSIONS_MAX = 1_000

/** One argument of a transform; a longer one is refused. UTF-16 code units. */
export const TRANSFORM_ARGUMENT_LENGTH_MAX = 1_000

/** What a transform may make of a value; a longer text is a TRANSFORM_FAILED issue of its row. UTF-16 code units. */
export const TRANSFORM_VALUE_LENGTH_MAX = 1024 * 1024

/** Transforms of one column of a mapping. */
export const TRANSFORMS_PER_COLUMN_MAX = 20

// ------------------------------------------------------------------------------------------------ fields and rules of a tenant

/** Custom fields that a record type has at a time. */
export const CUSTOM_FIELDS_MAX = 200

/** Keys of custom fields of one record type, archived ones with them: each keeps its meaning for ever. */
export const CUSTOM_FIELD_KEYS_MAX = 1_000

/** Key of a custom field. Characters. */
export const CUSTOM_FIELD_KEY_LENGTH_MAX = 40

/** Label of a custom field. UTF-16 code units. */
export const CUSTOM_FIELD_LABEL_LENGTH_MAX = 100

/** One option of a custom field. UTF-16 code units. */
export const CUSTOM_FIELD_OPTION_LENGTH_MAX = 100

/** Options of one custom field. */
export const CUSTOM_FIELD_OPTIONS_MAX = 200

/** Business rules of one record type, active or not. */
export const BUSINESS_RULES_MAX = 100

/** One argument of a business rule. UTF-16 code units. */
export const RULE_ARGUMENT_LENGTH_MAX = 1_000

/** Arguments of one business rule. */
export const RULE_ARGUMENTS_MAX = 500

/** Fields that one business rule is about. */
export const RULE_FIELDS_MAX = 20

/** Message of a business rule. UTF-16 code units. */
export const RULE_MESSAGE_LENGTH_MAX = 500

/** Pattern of a business rule. UTF-16 code units. */
export const RULE_PATTERN_LENGTH_MAX = 500

/** What a pattern compiles to: the time that it takes is at most this many steps for each character. Instructions. */
export const RULE_PATTERN_PROGRAM_MAX = 1_000

/** A longer value fits no pattern. UTF-16 code units. */
export const RULE_PATTERN_VALUE_LENGTH_MAX = 10_000

// ------------------------------------------------------------------------------------------------ duplicates

/** A key that more records of a tenant share says too little of who they are, and is passed over. Records. */
export const DUPLICATE_BLOCK_RECORDS_MAX = 60

/** One record is compared with so many others at most, those first that it has most keys in common with. Records. */
export const DUPLICATE_CANDIDATES_MAX = 200

/** Pairs of records that are less likely to be one are not reported. A probability. */
export const DUPLICATE_SCORE_MIN = 0.5

// ------------------------------------------------------------------------------------------------ storage

/** Of the disk of PORTAGE_DATA_DIR so much is kept free: below, nothing new is taken. A part of the whole. */
export const FREE_SPACE_FRACTION = 0.1

/** Of a disk of which FREE_SPACE_FRACTION is more, so much is enough. Bytes. */
export const FREE_SPACE_BYTES = 10 * 1024 ** 3

/** A file is taken, and a run over it started, where so many bytes are free for each of its own. Bytes. */
export const FREE_SPACE_PER_FILE_BYTE = 3

/** Attempts at one request to object storage, before a run is put off or a request fails. */
export const STORE_ATTEMPTS_MAX = 4

/** Files that are listed, and looked up in the database, at once. Both of S3's page size. Files. */
export const STORE_LIST_PAGE_FILES = 1_000

/** Files removed from the store for one tenant in one round of housekeeping. Files. */
export const STORE_PURGE_BATCH_FILES = 100

/** A file under `tmp/` of the store's folder that nobody has touched for so long is left over: whoever writes one touches it. Minutes. */
export const STORE_TEMPORARY_MINUTES = 10

/** A file in the store that no record knows of is removed when it is so old; an upload takes less long. Hours. */
export const STORE_ORPHAN_HOURS = 24

/** A part of an upload to object storage; S3 takes none below 5 MiB. Doubles after each 1,000 parts. Bytes. */
export const STORE_PART_BYTES = 8 * 1024 * 1024
export const STORE_PART_BYTES_MAX = 256 * 1024 * 1024

/** What is asked of object storage in the first request of a reader; four times as much in each one after it. Bytes. */
export const STORE_RANGE_BYTES = 256 * 1024
export const STORE_RANGE_BYTES_MAX = 64 * 1024 * 1024

/** How much of a stored file is handed on at once, e.g. to a download. Bytes. */
export const STORE_READ_BYTES = 256 * 1024

/** What is encrypted together; a reader decrypts no less. Bytes. */
export const STORE_SEGMENT_BYTES = 64 * 1024

/** A connection to object storage on which nothing comes for so long is given up. Milliseconds. */
export const STORE_SILENCE_MS_MAX = 30_000

// ------------------------------------------------------------------------------------------------ live events

/** Bytes, as stored, of one read of the event log. One event is always read. */
export const EVENT_PAGE_BYTES = 64 * 1024

/** Events of one read of the event log. */
export const EVENT_PAGE_EVENTS_MAX = 256

/** Reads of older events that one process has under way at once, for subscribers that are behind. */
export const EVENT_PAGE_READS_MAX = 2

/** How often subscribers look by themselves, in case that a notification was lost. Milliseconds. */
export const EVENT_POLL_MS = 2_000

/** Events deleted in one transaction when old ones are purged. */
export const EVENT_PURGE_BATCH_EVENTS = 10_000

/** Newest events of one tenant kept in memory for its subscribers. Events, and estimated bytes. */
export const EVENT_TAIL_BYTES_MAX = 512 * 1024
export const EVENT_TAIL_EVENTS_MAX = 512

/** Reads of new events that one process has under way at once, each for one tenant. */
export const EVENT_TAIL_READS_MAX = 3

/** Newest events of all tenants together; the more tenants have subscribers, the fewer each keeps. Estimated bytes. */
export const EVENT_TAILS_BYTES_MAX = 64 * 1024 * 1024

/** `minIntervalMs` of a subscription, at most and when it is not given. Milliseconds. */
export const MIN_INTERVAL_DEFAULT_MS = 250
export const MIN_INTERVAL_MAX_MS = 60_000

/** Issues that one RowsSettled event lists; further ones are counted. */
export const SETTLED_ISSUES_MAX = 100

/** What waits in memory for one subscriber; a slow one reads the event log page by page. Events, and estimated bytes. */
export const SUBSCRIBER_BYTES_MAX = 64 * 1024
export const SUBSCRIBER_EVENTS_MAX = 256

/** Events that are folded for a subscriber far behind before it is given something. */
export const SUBSCRIBER_FOLDED_EVENTS_MAX = 2_048

// ------------------------------------------------------------------------------------------------ API

/** Aliases in one operation, fragments expanded. */
export const ALIASES_MAX = 15

/** One request that is no upload, and one of the fields beside the file in an upload. Bytes. */
export const BODY_BYTES_MAX = 1024 * 1024

/** Cost of one operation: an object costs 1, a list as much as its `first` objects; introspection is exempt. */
export const COST_MAX = 5_000

/** Levels of fields in one operation; introspection is exempt. */
export const DEPTH_MAX = 12

/** Directives in one operation, fragments expanded. */
export const DIRECTIVES_MAX = 10

/** Columns of one export: PostgreSQL answers 1,664 at most. */
export const EXPORT_COLUMNS_MAX = 1_000

/** Conditions in one filter. */
export const FILTER_CONDITIONS_MAX = 100

/** Levels of `and`, `or` and `not` in one filter. */
export const FILTER_DEPTH_MAX = 10

/** What a list without `first` is taken to hold when the cost of an operation is counted. Objects. */
export const LIST_LENGTH_ASSUMED = 10

/** Largest `first`, and longest list in an input. Items. */
export const LIST_LENGTH_MAX = 500

/** Match rules of one import. */
export const MATCH_RULES_MAX = 10

/** Fields that one list can be ordered by. */
export const ORDER_FIELDS_MAX = 5

/** Limits of a tenant's plan are read anew after this. Milliseconds. */
export const RATE_LIMIT_CACHE_MS = 60_000

/** Tenants whose operations one process counts; of those beyond, whoever has not come for longest starts afresh. */
export const RATE_LIMIT_TENANTS_MAX = 10_000

/** An answer counts as one operation more, for the rate of operations, with each so many bytes that it has. */
export const ANSWER_BYTES_PER_OPERATION = 256 * 1024

/** Fields directly below `query` or `mutation`. */
export const ROOT_FIELDS_MAX = 10

/** In which a new socket has to say who it is. Milliseconds. */
export const SOCKET_INIT_MS_MAX = 3_000

/** One message from a client. Bytes. */
export const SOCKET_MESSAGE_BYTES_MAX = 64 * 1024

/** Messages that one socket may send in a minute. */
export const SOCKET_MESSAGES_PER_MINUTE_MAX = 300

/** Operations, subscriptions above all, that one socket may have open at a time. */
export const SOCKET_OPERATIONS_MAX = 50

/** Lexical tokens of one GraphQL document. */
export const TOKENS_MAX = 2_000

/** Errors that are told of a document that does not fit the schema; one that is full of them is not answered in full. */
export const VALIDATION_ERRORS_MAX = 5

/** A run in hand that has not moved for so long is called stalled. Seconds. */
export const STALLED_SECONDS = 60

// ------------------------------------------------------------------------------------------------ access

/** API keys of a tenant that are neither revoked nor past their end. */
export const API_KEYS_MAX = 100

/** A longer idempotency key is refused. Characters. */
export const IDEMPOTENCY_KEY_LENGTH_MAX = 255

/** For how long a download may be started with a link; one that is under way goes on. Seconds. */
export const LINK_SECONDS = 300

/** Members of a tenant. */
export const MEMBERS_MAX = 10_000

/** Name of a file, a member, an API key or a mapping template; the name of a file is cut, the others are refused. Characters. */
export const NAME_LENGTH_MAX = 255

// ------------------------------------------------------------------------------------------------ uploads

/** How long the virus scanner may be silent, in the middle of a file or after its end. Milliseconds. */
export const SCANNER_SILENCE_MS_MAX = 120_000

/** An upload in several requests over which no byte comes for so long is taken to be cut off. Milliseconds. */
export const UPLOAD_IDLE_MS_MAX = 60_000

/** What of an upload in several requests is kept at a time: as much is lost when a process dies, not when a connection does. Bytes. */
export const UPLOAD_PART_BYTES = 16 * 1024 * 1024

/** Parts that one upload may come in. Parts. */
export const UPLOAD_PARTS_MAX = 100_000

/** From its last byte on, for so long an upload in several requests can go on. Hours. */
export const UPLOAD_SESSION_HOURS = 24

/** What an upload has reserved of a quota comes back after this, where the process that took it is not heard of. Hours. */
export const UPLOAD_RESERVATION_HOURS = 2

/** Uploads in several requests that a tenant may have under way. */
export const UPLOAD_SESSIONS_MAX = 100

// ------------------------------------------------------------------------------------------------ bundles

/** Rows of a tenant that is erased go so many at a time, each time a transaction. */
export const ERASURE_BATCH_ROWS = 5_000

/** For how long a consent to import a bundle is good. Days. */
export const BUNDLE_CONSENT_DAYS = 7

/** Records of a bundle are read from the database so many at a time. */
export const BUNDLE_FETCH_RECORDS = 1_000

/** The manifest of a bundle; a larger one is no bundle of ours. Bytes. */
export const BUNDLE_MANIFEST_BYTES_MAX = 16 * 1024 * 1024

/** Records of a bundle are put into parts of about so much, each of which is in memory once. Bytes. */
export const BUNDLE_PART_BYTES = 4 * 1024 * 1024

/** One part of a bundle that is read: a part as it is written and the largest record behind it. Bytes. */
export const BUNDLE_PART_BYTES_MAX = 64 * 1024 * 1024

/** Characters of the passphrase of a bundle at least. */
export const BUNDLE_PASSPHRASE_LENGTH_MIN = 12

/** Characters of the passphrase of a bundle at most. */
export const BUNDLE_PASSPHRASE_LENGTH_MAX = 1_024

// ------------------------------------------------------------------------------------------------ connected CRMs

/** Integrations of a tenant, those that are revoked among them. */
export const INTEGRATIONS_MAX = 50

/** An access token is renewed when it is good for no longer than this. Seconds. */
export const OAUTH_EARLY_SECONDS = 300

/** A process that renews an access token and is not heard of for so long makes way for another; longer than the request takes. Seconds. */
export const OAUTH_LEASE_SECONDS = 60

/** Sign-ins at a CRM that a tenant has under way. */
export const OAUTH_SIGN_INS_MAX = 20

/** In which a sign-in at a CRM has to be completed. Seconds. */
export const OAUTH_STATE_SECONDS = 600

/** A longer token of a CRM is refused. Characters. */
export const OAUTH_TOKEN_LENGTH_MAX = 16_384

/** Attempts at one request to a CRM, where sending it again is safe. */
export const VENDOR_ATTEMPTS_MAX = 8

/** In which a connection to a CRM has to come about. Milliseconds. */
export const VENDOR_CONNECT_MS_MAX = 10_000

/** How much is read of an answer that tells of an error. Bytes. */
export const VENDOR_FAULT_BYTES_MAX = 64 * 1024

/** In which the head of an answer has to come, unless the request allows more. Milliseconds. */
export const VENDOR_HEADERS_MS_MAX = 120_000

/** A longer answer in JSON is refused, unpacked. Bytes. */
export const VENDOR_JSON_BYTES_MAX = 64 * 1024 * 1024

/** A request counts as under way for so long at most, when the process that sent it is not heard of. Seconds. */
export const VENDOR_LEASE_SECONDS = 900

/** Redirects that one request follows. */
export const VENDOR_REDIRECTS_MAX = 3

/** The first pause before a request is tried again lasts up to this, each further one up to twice as long. Milliseconds. */
export const VENDOR_RETRY_BASE_MS = 500
export const VENDOR_RETRY_MS_MAX = 60_000

/** In the middle of an answer, silence for so long is a broken connection. Milliseconds. */
export const VENDOR_SILENCE_MS_MAX = 60_000

/** A longer answer that is read as a stream is refused, unpacked. Bytes. */
export const VENDOR_STREAM_BYTES_MAX = 16 * 1024 ** 3

/** One attempt at a request with an answer in JSON, from its start to the last byte. Milliseconds. */
export const VENDOR_TOTAL_MS_MAX = 600_000

/** A pause that a budget or a CRM asks for is waited for on the spot when it is so short; a longer one is planned. Milliseconds. */
export const VENDOR_WAIT_MS_MAX = 10_000

/** Of what one object of another CRM is read into: pages, and the file of rows that is made of them. Bytes. */
export const EXTRACTED_BYTES_MAX = 16 * 1024 ** 3

/** Objects of one migration. */
export const MIGRATION_OBJECTS_MAX = 50

/** Records that a sample of one object of a migration may have, besides those that they refer to. */
export const MIGRATION_SAMPLE_RECORDS_MAX = 10_000

/** Examples that a check of a migration names. */
export const VERIFICATION_DETAILS_MAX = 10

/** Records of each object that the proof of a migration reads from the service once more. */
export const VERIFICATION_SAMPLE_RECORDS = 50

/** The proof of a migration as a file. Bytes; what is in it is limited by its objects and their examples. */
export const REPORT_BYTES_MAX = 16 * 1024 ** 2

/** Looking at the objects of a connected CRM while somebody waits. Milliseconds. */
export const DISCOVER_MS_MAX = 25_000

/** Of a user agent, what the audit keeps. Characters. */
export const AUDIT_USER_AGENT_CHARS_MAX = 200

/** Of the id that a request brings along (`X-Request-Id`), at most; a longer one is replaced by one of ours. Characters. */
export const AUDIT_REQUEST_ID_CHARS_MAX = 64

/** Attempts at one e-mail, the first included; the pauses between them are in `src/jobs/deliver-mail.ts`. */
export const MAIL_ATTEMPTS_MAX = 10

/** A mail server that says nothing for so long has gone. Milliseconds. */
export const MAIL_MS_MAX = 60_000

/** Facts that were told, and the logs of their deliveries, are kept for so long. Days. */
export const NOTICE_RETENTION_DAYS = 30

/** How much is read of what a receiver of webhooks answers; nothing of it is kept. Bytes. */
export const WEBHOOK_ANSWER_BYTES_MAX = 64 * 1024

/** Attempts at one delivery, the first included; the pauses between them are in `src/jobs/deliver-webhooks.ts`. */
export const WEBHOOK_ATTEMPTS_MAX = 12

/** In which a connection to a receiver of webhooks has to come about. Milliseconds. */
export const WEBHOOK_CONNECT_MS_MAX = 5000

/** Deliveries to one webhook that one worker has under way at once. */
export const WEBHOOK_CONCURRENT_MAX = 2

/** A webhook at which nothing has arrived for so long is disabled. Hours. */
export const WEBHOOK_DISABLE_HOURS = 120

/** One attempt at one delivery, from looking the name up to the end of the answer. Milliseconds. */
export const WEBHOOK_MS_MAX = 15_000

/** Records that one delivery of RECORDS_CHANGED names. */
export const WEBHOOK_RECORDS_MAX = 1000

/** After a new secret was made, the one before it signs besides for so long. Hours. */
export const WEBHOOK_SECRET_OVERLAP_HOURS = 24

/** A longer address of a webhook is refused. Characters. */
export const WEBHOOK_URL_LENGTH_MAX = 2000

/** Webhooks of a tenant. */
export const WEBHOOKS_MAX = 20
