#!/usr/bin/env bash
# Exports records with curl, waits for the end, downloads the file and checks it. Needs curl, sha256sum, and node to write and read JSON.
#
#   export PORTAGE_TOKEN=...                      # a sign-in token; `npm start` prints one
#   examples/export.sh CONTACT contacts.csv
#
# Exit codes: 0 completed, 1 anything else.
set -euo pipefail

type=${1:-CONTACT}
file=${2:-export.csv}
api="${PORTAGE_URL:-http://127.0.0.1:4000}/graphql"
: "${PORTAGE_TOKEN:?is not set: it is the sign-in token}"

# get PATH: reads JSON from standard input and prints what stands at PATH, e.g. data.run.status; nothing for null.
get() {
  node -e '
    const answer = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
    if (answer.errors) { console.error(answer.errors.map((error) => error.message).join("\n")); process.exit(1) }
    const value = process.argv[1].split(".").reduce((part, name) => part?.[name], answer)
    if (value != null) console.log(typeof value === "object" ? JSON.stringify(value) : value)' "$1"
}

# ask QUERY VARIABLES: runs an operation and prints the answer.
ask() {
  node -p 'JSON.stringify({ query: process.argv[1], variables: JSON.parse(process.argv[2]) })' "$1" "$2" |
    curl -sS "$api" -H "authorization: Bearer $PORTAGE_TOKEN" -H 'content-type: application/json' --data-binary @-
}

# 1. Start. Keep the key if you may have to send the request again: the same key with the same input never exports twice.
key=${IDEMPOTENCY_KEY:-$(node -p 'crypto.randomUUID()')}
started=$(ask 'mutation ($input: ExportCreateInput!) {
  exportCreate(input: $input) { exportRun { id } userErrors { code field message } }
}' "$(node -p '
  JSON.stringify({
    input: {
      recordType: process.argv[1],
      filter: { where: { field: "createdAt", operator: "GTE", value: "2020-01-01T00:00:00Z" } },
      orderBy: [{ field: "createdAt", direction: "DESC" }],
      format: { format: "CSV", timeZone: "Europe/Berlin" },
      idempotencyKey: process.argv[2],
    },
  })' "$type" "$key")")
run=$(get data.exportCreate.exportRun.id <<<"$started")
if [ -z "$run" ]; then
  echo "The export was refused: $(get data.exportCreate.userErrors <<<"$started")" >&2
  exit 1
fi
echo "Started $run"

# 2. Wait for the end. (runEvents tells it live, over a socket.)
while :; do
  answer=$(ask 'query ($id: ID!) {
    exportRun(id: $id) { status statusReason { message } counts { read total } snapshotAt files { name url sha256 rowCount } }
  }' "{\"id\":\"$run\"}")
  status=$(get data.exportRun.status <<<"$answer")
  echo "$status, $(get data.exportRun.counts.read <<<"$answer") rows written"
  case $status in
    COMPLETED) break ;;
    FAILED | CANCELED | EXPIRED)
      get data.exportRun.statusReason.message <<<"$answer" >&2
      exit 1
      ;;
  esac
  sleep 0.5
done

# 3. Download. The address needs no token and works for an hour; ask the run again for a fresh one. After a broken connection
#    curl goes on where it was. The checksum says whether all of it is there.
url=$(get data.exportRun.files.0.url <<<"$answer")
sha256=$(get data.exportRun.files.0.sha256 <<<"$answer")
curl -sS --fail --retry 5 --retry-all-errors -C - -o "$file.part" "$url"
echo "$sha256  $file.part" | sha256sum --check --quiet
mv "$file.part" "$file"
echo "$file: $(get data.exportRun.files.0.rowCount <<<"$answer") rows as of $(get data.exportRun.snapshotAt <<<"$answer")"
