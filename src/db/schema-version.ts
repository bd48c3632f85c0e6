/** The newest migration: a process works only with a database that has had it. A test compares it with the migrations. */
<<<<<<< Updated upstream
export const SCHEMA_VERSION = 'Migration20261122000013_relations'
=======
export const SCHEMA_VERSION = 'Migration20261122000013_retries'
>>>>>>> Stashed changes
