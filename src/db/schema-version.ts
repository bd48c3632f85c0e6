/** The newest migration: a process works only with a database that has had it. A test compares it with the migrations. */
export const SCHEMA_VERSION = 'Migration20261123000035_quota_order'
